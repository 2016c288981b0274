"""The vocal gate: what every piece of evidence says, fused to a probability of a voice per track.

The labelling functions of ``words.py`` vote, the label model learns from all tracks together how
far each can be trusted. Which tracks are given therefore matters: judge a whole collection at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ..label_model import LabelModel, fit_label_model
from .evidence import Evidence
from .words import FUNCTIONS, LabellingFunction

PRESUMPTION = (34.0, 6.0)
"""Imagined instrumental and vocal tracks: who names a folder to train on has chosen its music, so
a track of which nothing is known counts as instrumental until the collection says otherwise."""
LOW, HIGH = 0.2, 0.8
VOICED = 0.6
"""Share of the windows of a vocal track that have a voice; the rest are intros and solos."""

Place = Literal["train", "reg", "out"]


@dataclass(frozen=True)
class Learnt:
    """What a labelling function turned out to be worth."""

    name: str
    coverage: float
    """Share of all tracks that it votes on."""
    accuracy: float
    """Estimated share of its votes that are right; NaN if it never votes."""
    vocal: tuple[float, float, float]
    """P(vote -1, 0, 1) on vocal tracks."""
    instrumental: tuple[float, float, float]
    """P(vote -1, 0, 1) on instrumental tracks."""


@dataclass(frozen=True)
class Verdicts:
    """The gate's answer for every track, in the order asked, and what it rests on."""

    probabilities: tuple[float, ...]
    """P(a voice), of six decimals: the last bits of a machine's arithmetic decide nothing."""
    votes: tuple[dict[str, int], ...]
    """Votes by name of the functions that had something to look at."""
    balance: float
    """Learnt share of vocal tracks."""
    functions: tuple[Learnt, ...]


def judge_tracks(
    evidence: Sequence[Evidence], functions: Sequence[LabellingFunction] = FUNCTIONS
) -> Verdicts:
    """Say how probable a voice is in every track of a collection.

    A track without any evidence gets the collection's share of vocal tracks, which without any
    evidence at all is ``PRESUMPTION``: below ``LOW``, so that it is trained on and not lost.
    """
    votes, seen = vote(evidence, functions)
    model = fit_label_model(votes, seen, prior=_expected(functions), balance_prior=PRESUMPTION)
    probabilities = model.probabilities(votes, seen).round(6)
    return Verdicts(
        tuple(probabilities.tolist()),
        tuple(
            {f.name: v for f, v, s in zip(functions, *row, strict=True) if s}
            for row in zip(votes.tolist(), seen.tolist(), strict=True)
        ),
        round(model.balance, 6),
        tuple(_learnt(functions, votes, probabilities, model)),
    )


def vote(
    evidence: Sequence[Evidence], functions: Sequence[LabellingFunction] = FUNCTIONS
) -> tuple[Int[np.ndarray, "tracks functions"], Bool[np.ndarray, "tracks functions"]]:
    """Every function's vote on every track, and whether it had something to look at."""
    shape = len(evidence), len(functions)
    votes = np.array([[f.vote(e) for f in functions] for e in evidence], int).reshape(shape)
    seen = np.array([[f.reads(e) for f in functions] for e in evidence], bool).reshape(shape)
    return votes, seen


def place(
    probability: float,
    unsure: Literal["reg", "out"] = "reg",
    *,
    low: float = LOW,
    high: float = HIGH,
) -> Place:
    """Instrumental tracks are trained on, vocal ones regularise; where unsure ones go is asked.

    >>> [place(p, "out") for p in (0.05, 0.5, 0.95)]
    ['train', 'out', 'reg']
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"thresholds {low} and {high} must be in order between 0 and 1")
    if probability <= low:
        return "train"
    return "reg" if probability >= high else unsure


def window_probabilities(
    heard: Sequence[float], track_probability: float
) -> Float[np.ndarray, " windows"]:
    """P(a voice) of every window: the classifier's word, seen in the light of the whole track.

    The classifier speaks as if every other window had a voice; here ``VOICED`` of a vocal track's
    windows have one and none of an instrumental track's, so its odds are multiplied by the odds of
    that (Saerens et al. 2002, Neural Computation 14, equation 2.4).
    """
    scores = np.clip(np.asarray(heard, float), 1e-6, 1 - 1e-6)
    expected = np.clip(VOICED * track_probability, 1e-6, 1 - 1e-6)
    voice, none = scores * expected, (1 - scores) * (1 - expected)
    return voice / (voice + none)


def vocal_windows(heard: Sequence[float], track_probability: float) -> Bool[np.ndarray, " windows"]:
    """Windows of an otherwise instrumental track that surely have a voice: leave them out."""
    return window_probabilities(heard, track_probability) > 0.5


def _expected(functions: Sequence[LabellingFunction]) -> Float[np.ndarray, "functions 3 2"]:
    shares = np.array([[f.instrumental, f.vocal] for f in functions]).reshape(-1, 2, 3)
    tracks = np.array([f.tracks for f in functions])
    return tracks[:, None, None] * shares.transpose(0, 2, 1)


def _learnt(
    functions: Sequence[LabellingFunction],
    votes: Int[np.ndarray, "tracks functions"],
    probabilities: Float[np.ndarray, " tracks"],
    model: LabelModel,
) -> list[Learnt]:
    right = np.where(votes > 0, probabilities[:, None], 1 - probabilities[:, None])
    rows = []
    for i, function in enumerate(functions):
        cast = votes[:, i] != 0
        rows.append(
            Learnt(
                function.name,
                coverage=float(cast.mean()) if len(votes) else 0.0,
                accuracy=float(right[cast, i].mean()) if cast.any() else float("nan"),
                vocal=_three(model.table[i, :, 1]),
                instrumental=_three(model.table[i, :, 0]),
            )
        )
    return rows


def _three(shares: Float[np.ndarray, "3"]) -> tuple[float, float, float]:
    against, none, favour = shares.round(6).tolist()
    return against, none, favour
