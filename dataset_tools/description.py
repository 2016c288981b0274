"""Describe tracks by their sound: votes on facets by an embedder and by signal processing.

The embedder compares each track with the lexicon's terms, by rank within the collection; where it
has trained classifiers of instruments and genres, these vote instead. Signal processing gives
tempo, key, loudness, brightness and density. All are one more source for the label model
(``captions/facets.py``), which learns how far to trust them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from dmm.embedders import TextEmbedder

from .captions.lexicon import Lexicon
from .classifier_votes import Attributes, classifier_votes, mean_attributes, most_probable
from .signal_votes import (
    KEY_STRENGTH,
    MIN_SPREAD_LU,
    Votes,
    choose_octaves,
    ranks_of,
    signal_votes,
    summarise_clips,
)
from .similarity import votes_by_similarity
from .sound_facts import SoundFacts

AUDIBLE_FACETS = ("instrument", "genre", "mood", "tempo", "production", "culture")
"""Facets of the sound itself, so that an embedder can vote on them."""
MAX_FITS = 3
"""Largest number of values of a facet that an embedder votes for in a track: the best ones."""


@dataclass(frozen=True)
class TrackSound:
    """Measurements of one track, from which it is described."""

    facts: Sequence[SoundFacts]
    """One entry for each of its windows."""
    loudness_lufs: float
    """NaN where it is unknown."""
    embedding: Float[np.ndarray, " dim"]
    """Mean over the windows; of size 0 without an embedder."""
    attributes: Sequence[Attributes] = ()
    """Probabilities by the embedder's classifiers, of each window; empty if it has none."""


@dataclass(frozen=True)
class Description:
    """Facts about a track's sound: numbers, and votes with their origin."""

    tempo_bpm: float | None = None
    """None without a steady beat."""
    key: str | None = None
    loudness_lufs: float | None = None
    brightness_hz: float | None = None
    density: float | None = None
    """Notes or strokes a second."""
    votes: Votes = field(default_factory=dict)
    origins: dict[str, dict[str, str]] = field(default_factory=dict)
    """Facet to value to the origin of a vote for it: ``embedder``, ``classifier``, ``signal``."""

    def as_json(self) -> dict[str, Any]:
        """All fields but the votes, as JSON values for the manifest."""
        return {name: value for name, value in asdict(self).items() if name != "votes"}


def describe_tracks(
    embedder: TextEmbedder | None, tracks: Sequence[TrackSound], lexicon: Lexicon
) -> list[Description]:
    """Describe all tracks of a collection.

    Without an embedder there are no votes on instruments, genre and mood. Fewer than three tracks
    get no votes of the embedder, fewer than five none by rank.
    """
    facts = [summarise_clips(track.facts) for track in tracks]
    classified = [mean_attributes(track.attributes) for track in tracks]
    compared, slowness = _compare_with_words(embedder, tracks, lexicon)
    measured = [f.tempo_bpm if f else None for f in facts]
    words = [most_probable(attributes, "tempo") for attributes in classified]
    tempos = choose_octaves(measured, slowness, words)
    ranks = _signal_ranks(tracks, facts)
    return [
        _description(
            tracks[i],
            facts[i],
            tempos[i],
            most_probable(classified[i], "key"),
            {"embedder": compared[i], "classifier": classifier_votes(classified[i], lexicon)},
            ranks[i],
        )
        for i in range(len(tracks))
    ]


def embedder_votes(
    embedder: TextEmbedder, rows: Float[np.ndarray, "n dim"], lexicon: Lexicon
) -> list[Votes]:
    """Votes of an embedder on the lexicon's terms of sound, for each row; unclear ones missing."""
    found: list[Votes] = [{} for _ in rows]
    for facet in AUDIBLE_FACETS:
        values = lexicon.values(facet)
        votes = votes_by_similarity(
            embedder, rows, values, MAX_FITS, in_pairs=facet == "instrument"
        )
        for n, k in zip(*np.nonzero(votes), strict=True):
            found[n].setdefault(facet, {})[values[k]] = int(votes[n, k])
    return found


def _compare_with_words(
    embedder: TextEmbedder | None, tracks: Sequence[TrackSound], lexicon: Lexicon
) -> tuple[list[Votes], Float[np.ndarray, " n"]]:
    """Votes of the embedder, and each track's rank from fast (0) to slow (1), NaN without one."""
    if embedder is None or not tracks:
        return [{} for _ in tracks], np.full(len(tracks), np.nan)
    rows = np.stack([track.embedding for track in tracks])
    slow, fast = embedder.embed_text(["slow", "fast"])
    return embedder_votes(embedder, rows, lexicon), ranks_of(rows @ (slow - fast))


def _signal_ranks(
    tracks: Sequence[TrackSound], facts: Sequence[SoundFacts | None]
) -> list[dict[str, float]]:
    """Rank of each track by loudness, brightness and density, 0 to 1; NaN where unknown."""
    ranks = {
        "loudness": ranks_of([track.loudness_lufs for track in tracks], MIN_SPREAD_LU),
        "brightness": ranks_of([f.brightness_hz if f else np.nan for f in facts]),
        "density": ranks_of([f.density if f else np.nan for f in facts]),
    }
    return [
        {measure: float(values[i]) for measure, values in ranks.items()} for i in range(len(tracks))
    ]


def _description(
    track: TrackSound,
    facts: SoundFacts | None,
    tempo_bpm: float | None,
    classified_key: str | None,
    votes_by_origin: Mapping[str, Votes],
    ranks: Mapping[str, float],
) -> Description:
    """Combine a track's measurements and votes."""
    strong_key = facts.key if facts and facts.key_strength >= KEY_STRENGTH else None
    measured = signal_votes(tempo_bpm, classified_key or strong_key, ranks)
    votes, origins = _join_votes({**votes_by_origin, "signal": measured})
    known = np.isfinite(track.loudness_lufs)
    return Description(
        None if tempo_bpm is None else round(tempo_bpm, 1),
        classified_key or (facts.key if facts else None),
        round(track.loudness_lufs, 2) if known else None,
        facts.brightness_hz if facts else None,
        facts.density if facts else None,
        votes,
        origins,
    )


def _join_votes(votes_by_origin: Mapping[str, Votes]) -> tuple[Votes, dict[str, dict[str, str]]]:
    """Join votes of several origins; returns them, and the origin of each value voted for.

    A classifier's votes on a facet replace the embedder's; otherwise the last origin counts.
    """
    votes: Votes = {}
    origins: dict[str, dict[str, str]] = {}
    for origin, source in votes_by_origin.items():
        for facet, values in source.items():
            if origin == "classifier":
                votes[facet] = {}
            votes.setdefault(facet, {}).update(values)
            origins.setdefault(facet, {}).update(dict.fromkeys(values, origin))
    present = {
        facet: {value: origins[facet][value] for value, vote in values.items() if vote > 0}
        for facet, values in votes.items()
    }
    return votes, {facet: values for facet, values in present.items() if values}
