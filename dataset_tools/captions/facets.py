"""Probabilities of what a track has, from captions, tags and sound that agree only in part.

Weak supervision: the first caption, the other captions, the tags and, if given, a listener vote on
every value of a facet ("electric guitar", "slow"), and the label model learns what their votes and
their silence are worth. The values of a facet share what is learnt: a value alone is too rare.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from ..label_model import fit_label_model
from ..vocals.evidence import Evidence
from .lexicon import FACETS, Lexicon

SoundVotes = Sequence[Mapping[str, Mapping[str, int]]]
"""A track: facet, value, then 1 for heard, -1 for not heard, 0 for unclear."""
FacetProbabilities = dict[str, dict[str, float]]
SOUND = 3
"""The listener's place among the sources: first caption, other captions, tags, listener."""
Votes = dict[tuple[str, str], int]
"""What one source says of a track: (facet, value) to 1 for mentioned, -1 for denied."""

WRONG = 0.1
"""Share of mentions that are expected to be wrong. What people write about music is mostly meant;
what they leave out says little. How much it says is learnt, this is held on to: two captions that
differ cannot tell a mistake from another taste."""
RECALL, RECALL_PAIRS = 0.3, 50.0
"""Share of what is there that a source is expected to mention, and how loosely: pairs of a track
and a value behind it."""
_LISTENER = 40.0 * np.array([[0.7, 0.1], [0.2, 0.2], [0.1, 0.7]])
"""A listener's imagined votes -1, 0, 1 on pairs that are false and true."""


def facet_probabilities(
    evidence: Sequence[Evidence], lexicon: Lexicon, votes_from_sound: SoundVotes | None = None
) -> list[FacetProbabilities]:
    """P(value applies) for every value that anything speaks for or against, a track, by facet.

    Values that nobody mentions are left out, as are facets without values; a value that is only
    denied stays, with a probability near 0. Judge a whole collection at once: the more there is to
    compare, the better is it known how far captions can be trusted.
    """
    heard = [{} for _ in evidence] if votes_from_sound is None else votes_from_sound
    if len(heard) != len(evidence):
        raise ValueError(f"votes from sound for {len(heard)} tracks; there are {len(evidence)}")
    said = [_sources(e, lexicon, sound) for e, sound in zip(evidence, heard, strict=True)]
    found: list[FacetProbabilities] = [{} for _ in evidence]
    for facet in FACETS:
        _judge_facet(facet, lexicon.values(facet), said, found)
    return found


def _judge_facet(
    facet: str,
    known: Sequence[str],
    said: Sequence[Sequence[Votes | None]],
    found: list[FacetProbabilities],
) -> None:
    """Add the facet's probabilities to each track's.

    Values that the lexicon knows and nobody mentions take part: what is left unsaid counts.
    """
    named = {v for track in said for votes in track for f, v in votes or () if f == facet}
    if not named:
        return
    values = sorted(named.union(known))
    votes, seen = _table(facet, values, said)
    pairs = votes.reshape(-1, votes.shape[2]), seen.reshape(-1, seen.shape[2])
    model = fit_label_model(*pairs, **_priors(*pairs), tolerance=1e-5)
    spoken = votes.any(axis=2)
    probabilities = model.probabilities(votes[spoken], seen[spoken]).round(6)
    for i, j, probability in zip(*np.nonzero(spoken), probabilities.tolist(), strict=True):
        found[i].setdefault(facet, {})[values[j]] = probability


def _table(
    facet: str, values: Sequence[str], said: Sequence[Sequence[Votes | None]]
) -> tuple[Int[np.ndarray, "tracks values 4"], Bool[np.ndarray, "tracks values 4"]]:
    """Votes of the four sources on each value, and whether each could have spoken of it.

    Who has a caption could have named anything in it; a listener is asked value by value.
    """
    column = {value: j for j, value in enumerate(values)}
    votes = np.zeros((len(said), len(values), 4), np.int8)
    seen = np.zeros(votes.shape, bool)
    for i, track in enumerate(said):
        for k, source in enumerate(track):
            seen[i, :, k] = source is not None and k != SOUND
            for (f, value), vote in (source or {}).items():
                if f == facet:
                    votes[i, column[value], k] = vote
                    seen[i, column[value], k] = True
    return votes, seen


def _priors(votes: Int[np.ndarray, "pairs 4"], seen: Bool[np.ndarray, "pairs 4"]) -> dict[str, Any]:
    """What is expected of the sources, given how often they speak: arguments of the fit."""
    looked = np.maximum(seen.sum(axis=0), 1)
    mentions = np.maximum((votes > 0).sum(axis=0), 0.5) / looked
    denials = np.maximum((votes < 0).sum(axis=0), 0.5) / looked
    true = np.stack([WRONG * denials, 1 - RECALL - WRONG * denials, np.full(4, RECALL)], axis=1)
    false = np.stack([denials, 1 - denials - WRONG * mentions, WRONG * mentions], axis=1)
    prior = np.stack([len(votes) * false, RECALL_PAIRS * true], axis=2).clip(1e-6)
    prior[SOUND] = _LISTENER
    share = min(0.5, mentions[:SOUND].mean() / RECALL)
    return {"prior": prior, "balance_prior": (10 * (1 - share), 10 * share)}


def _sources(
    evidence: Evidence, lexicon: Lexicon, sound: Mapping[str, Mapping[str, int]]
) -> tuple[Votes | None, ...]:
    """What each source says of a track; None for a source that it lacks."""
    tags = [tag.rpartition("---")[2].replace("_", " ") for tag in evidence.tags]
    tags = [_in_words(tag, lexicon) for tag in tags]
    return (
        _mentions(evidence.captions[:1], lexicon),
        _mentions(evidence.captions[1:], lexicon),
        _mentions(tags, lexicon),
        {(facet, value): vote for facet, votes in sound.items() for value, vote in votes.items()},
    )


def _in_words(tag: str, lexicon: Lexicon) -> str:
    """MTG-Jamendo writes "acousticguitar"; give it back its space."""
    return _run_together(lexicon).get(tag.casefold(), tag)


@cache
def _run_together(lexicon: Lexicon) -> dict[str, str]:
    values = (value for facet in FACETS for value in lexicon.values(facet))
    return {value.replace(" ", ""): value for value in values if " " in value}


def _mentions(texts: Iterable[str], lexicon: Lexicon) -> Votes | None:
    """Take a value as mentioned if any text mentions it, as denied if it is only ever denied."""
    texts = list(texts)
    votes: Votes = {}
    for mention in (mention for text in texts for mention in lexicon.find(text)):
        key = mention.facet, mention.value
        votes[key] = max(votes.get(key, -1), -1 if mention.negated else 1)
    return votes if texts else None
