"""Estimate what a track has ("electric guitar", "slow"), from captions, tags and sound together.

Weak supervision: every caption, the tags and, if given, an audio model vote on every value of a
facet (instrument, tempo ...), and the label model learns how far to trust their votes and
abstentions. A caption that omits what another one mentions counts against it. All values of a facet
share one model, because single values are rare.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ..label_model import fit_label_model
from ..vocals.evidence import VoiceEvidence
from .lexicon import FACETS, Lexicon

SoundVotes = Sequence[Mapping[str, Mapping[str, int]]]
"""For each track, facet to value to the audio model's vote: 1 present, -1 absent, 0 unclear."""
FacetProbabilities = dict[str, dict[str, float]]
Votes = dict[tuple[str, str], int]
"""Votes of one source on a track: (facet, value) to 1 for mentioned, -1 for denied."""

WRONG, FALSE_PAIRS = 0.1, 30.0
"""Expected share of wrong mentions, and the weight of that expectation in pairs of a track and a
value that are false. A weak one: where tracks have several captions, they show how often a mention
is confirmed. On Song Describer a value that two captions of a track mention is in 41 % of the
further captions, one that a single caption of three or more mentions in 12 %."""
RECALL, RECALL_PAIRS = 0.3, 50.0
"""Expected share of the values present that a source mentions, and its weight in true pairs."""
SOUND_WRONG, SOUND_MISSED, SOUND_PAIRS = 0.2, 0.15, 40.0
"""Expected share of the audio model's votes for a value that are wrong, and of the true values it
votes on that it denies; the weight of both in pairs of each class. Without captions and tags
nothing corrects them: of MiniMIDI's instruments 80 % are right by words
(``benchmarks/description_accuracy.py``)."""


def facet_probabilities(
    evidence: Sequence[VoiceEvidence], lexicon: Lexicon, votes_from_sound: SoundVotes | None = None
) -> list[FacetProbabilities]:
    """P(value applies) for every track, facet, and value on which any source votes.

    Values without a vote are left out, as are facets without values; a value that is only denied
    stays, with a probability near 0. Pass a whole collection at once: the model learns from all
    tracks how far each source can be trusted. ValueError if the lengths differ.
    """
    sounds = [{} for _ in evidence] if votes_from_sound is None else votes_from_sound
    if len(sounds) != len(evidence):
        raise ValueError(f"votes from sound for {len(sounds)} tracks; there are {len(evidence)}")
    most = max((len(e.captions) for e in evidence), default=0)
    votes = [
        _votes_by_source(e, most, lexicon, sound) for e, sound in zip(evidence, sounds, strict=True)
    ]
    found: list[FacetProbabilities] = [{} for _ in evidence]
    for facet in FACETS:
        _estimate_facet(facet, lexicon.values(facet), votes, found)
    return found


def _estimate_facet(
    facet: str,
    lexicon_values: Sequence[str],
    sources: Sequence[Sequence[Votes | None]],
    found: list[FacetProbabilities],
) -> None:
    """Add the probabilities of the facet's values to each track in ``found``.

    All values that the lexicon knows take part in the fit, so that omissions are counted.
    """
    named = {v for track in sources for votes in track for f, v in votes or () if f == facet}
    if not named:
        return
    values = sorted(named.union(lexicon_values))
    votes, applies = _vote_table(facet, values, sources)
    pairs = votes.reshape(-1, votes.shape[2]), applies.reshape(-1, applies.shape[2])
    n_captions = votes.shape[2] - 2
    kinds = [0] * n_captions + [1, 2]
    model = fit_label_model(*pairs, **_priors(*pairs, n_captions), kinds=kinds, tolerance=1e-5)
    voted = votes.any(axis=2)
    probabilities = model.probabilities(votes[voted], applies[voted]).round(6)
    for i, j, probability in zip(*np.nonzero(voted), probabilities.tolist(), strict=True):
        found[i].setdefault(facet, {})[values[j]] = probability


def _vote_table(
    facet: str, values: Sequence[str], sources: Sequence[Sequence[Votes | None]]
) -> tuple[Int[np.ndarray, "tracks values n"], Bool[np.ndarray, "tracks values n"]]:
    """Votes of the sources (captions, tags, audio model), and whether each could vote on a value.

    A caption could name any value; the audio model votes only on the values in its votes.
    """
    column = {value: j for j, value in enumerate(values)}
    votes = np.zeros((len(sources), len(values), len(sources[0])), np.int8)
    sound = len(sources[0]) - 1
    applies = np.zeros(votes.shape, bool)
    for i, track in enumerate(sources):
        for k, source in enumerate(track):
            applies[i, :, k] = source is not None and k != sound
            for (f, value), vote in (source or {}).items():
                if f == facet:
                    votes[i, column[value], k] = vote
                    applies[i, column[value], k] = True
    return votes, applies


def _priors(
    votes: Int[np.ndarray, "pairs n"], applies: Bool[np.ndarray, "pairs n"], n_captions: int
) -> dict[str, Any]:
    """Arguments ``prior`` and ``balance_prior`` of the fit, from how often each source votes."""
    looked = np.maximum(applies.sum(axis=0), 1.0)
    mentions, denials = (votes > 0).sum(axis=0) * 1.0, (votes < 0).sum(axis=0) * 1.0
    for counts in (looked, mentions, denials):  # all captions are one kind of source
        counts[:n_captions] = counts[:n_captions].sum()
    mentions, denials = np.maximum(mentions, 0.5) / looked, np.maximum(denials, 0.5) / looked
    true = np.stack(
        [WRONG * denials, 1 - RECALL - WRONG * denials, np.full(len(looked), RECALL)], axis=1
    )
    false = np.stack([denials, 1 - denials - WRONG * mentions, WRONG * mentions], axis=1)
    prior = np.stack([FALSE_PAIRS * false, RECALL_PAIRS * true], axis=2).clip(1e-6)
    prior[-1], share = _sound_prior(float(mentions[-1]), float(denials[-1]))
    if applies[:, :-1].any():
        words = [*mentions[: min(n_captions, 1)], mentions[-2]]
        share = min(0.5, float(np.mean(words)) / RECALL)
    return {"prior": prior, "balance_prior": (10 * (1 - share), 10 * share)}


def _sound_prior(mentions: float, denials: float) -> tuple[Float[np.ndarray, "3 2"], float]:
    """Prior counts of the audio model's votes (-1, 0, 1) by class, and the share of true pairs.

    Both agree with the shares of its votes that are for and against a value; otherwise a fit
    without other sources would take its votes for errors. It abstains as often in both classes.
    """
    spoken = min(mentions + denials, 0.99)
    favour = min(mentions / (mentions + denials), 0.5)
    share = (1 - SOUND_WRONG) * favour / (1 - SOUND_MISSED)
    false_alarms = SOUND_WRONG * favour / (1 - share)
    false = [spoken * (1 - false_alarms), 1 - spoken, spoken * false_alarms]
    true = [spoken * SOUND_MISSED, 1 - spoken, spoken * (1 - SOUND_MISSED)]
    return SOUND_PAIRS * np.array([false, true]).T, share


def _votes_by_source(
    evidence: VoiceEvidence,
    n_captions: int,
    lexicon: Lexicon,
    sound: Mapping[str, Mapping[str, int]],
) -> tuple[Votes | None, ...]:
    """Votes of ``n_captions`` captions, of the tags and of the audio model; None if missing."""
    tags = [tag.rpartition("---")[2].replace("_", " ") for tag in evidence.tags]
    tags = [_restore_spaces(tag, lexicon) for tag in tags]
    return (
        *(_votes_of_texts(evidence.captions[n : n + 1], lexicon) for n in range(n_captions)),
        _votes_of_texts(tags, lexicon),
        {(facet, value): vote for facet, votes in sound.items() for value, vote in votes.items()},
    )


def _restore_spaces(tag: str, lexicon: Lexicon) -> str:
    """Restore the spaces of MTG-Jamendo's tags, such as "acousticguitar"."""
    return _terms_without_spaces(lexicon).get(tag.casefold(), tag)


@cache
def _terms_without_spaces(lexicon: Lexicon) -> dict[str, str]:
    values = (value for facet in FACETS for value in lexicon.values(facet))
    return {value.replace(" ", ""): value for value in values if " " in value}


def _votes_of_texts(texts: Iterable[str], lexicon: Lexicon) -> Votes | None:
    """Votes of texts: 1 for mentioned values, -1 for values only denied; None without texts."""
    texts = list(texts)
    votes: Votes = {}
    for mention in (mention for text in texts for mention in lexicon.find_mentions(text)):
        key = mention.facet, mention.value
        votes[key] = max(votes.get(key, -1), -1 if mention.negated else 1)
    return votes if texts else None
