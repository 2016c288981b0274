"""The vocal gate: the probability that a track has a voice, from all evidence of a collection.

The labelling functions vote, and the label model learns from all tracks together how far to trust
each. The result depends on the tracks given: pass a whole collection at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ..label_model import LabelModel, fit_label_model
from .evidence import VoiceEvidence
from .labelling_functions import LabellingFunction, functions_for_collection

BALANCE_PRIOR = (34.0, 6.0)
"""Prior counts of instrumental and vocal tracks. People choose the folder they train on, so a track
without evidence counts as instrumental until the rest of the collection suggests otherwise."""
LOW, HIGH = 0.2, 0.8
"""Tracks are instrumental up to the first probability of a voice, vocal from the second."""
VOICED = 0.6
"""Share of a vocal track's windows that have a voice; the others are intros and solos."""

Place = Literal["train", "reg", "out"]


@dataclass(frozen=True)
class FunctionEstimate:
    """Learnt coverage, accuracy and shares of votes of the labelling functions of one kind."""

    name: str
    """The kind: all captions together are ``caption``."""
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
    """The gate's probabilities for all tracks, in the order given, with the votes behind them."""

    probabilities: tuple[float, ...]
    """P(a voice), rounded to six decimals so that results are equal on all machines."""
    votes: tuple[dict[str, int], ...]
    """Votes by name of the functions that apply to the track."""
    balance: float
    """Learnt share of vocal tracks."""
    functions: tuple[FunctionEstimate, ...]


def judge_tracks(evidence: Sequence[VoiceEvidence]) -> Verdicts:
    """Estimate how probable a voice is in every track of a collection.

    A track without evidence gets the collection's share of vocal tracks. If no track has evidence,
    that is the share in ``BALANCE_PRIOR``: below ``LOW``, so that the tracks are trained on.
    """
    functions = functions_for_collection(evidence)
    votes, applies = collect_votes(evidence, functions)
    kinds = list(dict.fromkeys(f.kind for f in functions))
    model = fit_label_model(
        votes,
        applies,
        prior=_prior_votes(functions),
        balance_prior=BALANCE_PRIOR,
        kinds=[kinds.index(f.kind) for f in functions],
    )
    probabilities = model.probabilities(votes, applies).round(6)
    return Verdicts(
        tuple(probabilities.tolist()),
        tuple(
            {f.name: v for f, v, s in zip(functions, *row, strict=True) if s}
            for row in zip(votes.tolist(), applies.tolist(), strict=True)
        ),
        round(model.balance, 6),
        tuple(_estimates(functions, votes, probabilities, model)),
    )


def collect_votes(
    evidence: Sequence[VoiceEvidence], functions: Sequence[LabellingFunction]
) -> tuple[Int[np.ndarray, "tracks functions"], Bool[np.ndarray, "tracks functions"]]:
    """Every function's vote on every track, and whether it applies to the track."""
    shape = len(evidence), len(functions)
    votes = np.array([[f.vote(e) for f in functions] for e in evidence], int).reshape(shape)
    applies = np.array([[f.applies(e) for f in functions] for e in evidence], bool).reshape(shape)
    return votes, applies


def place_track(
    probability: float,
    unsure: Literal["reg", "out"] = "reg",
    *,
    low: float = LOW,
    high: float = HIGH,
) -> Place:
    """Place of a track: ``train`` if instrumental, ``reg`` if vocal, otherwise ``unsure``.

    ValueError unless 0 <= ``low`` <= ``high`` <= 1.

    >>> [place_track(p, "out") for p in (0.05, 0.5, 0.95)]
    ['train', 'out', 'reg']
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"thresholds {low} and {high} must be in order between 0 and 1")
    if probability <= low:
        return "train"
    return "reg" if probability >= high else unsure


def adjusted_probabilities(
    window_probabilities: Sequence[float], track_probability: float
) -> Float[np.ndarray, " windows"]:
    """P(a voice) of every window: the classifier's, corrected by the track's probability.

    The classifier assumes that half of all windows have a voice. Here ``VOICED`` of a vocal track's
    windows have one and none of an instrumental track's, so the classifier's odds are
    multiplied by these prior odds (Saerens et al. 2002, Neural Computation 14, equation 2.4).
    """
    scores = np.clip(np.asarray(window_probabilities, float), 1e-6, 1 - 1e-6)
    expected = np.clip(VOICED * track_probability, 1e-6, 1 - 1e-6)
    voice, none = scores * expected, (1 - scores) * (1 - expected)
    return voice / (voice + none)


def vocal_windows(
    window_probabilities: Sequence[float], track_probability: float
) -> Bool[np.ndarray, " windows"]:
    """Whether each window more likely has a voice than not, given the track's probability."""
    return adjusted_probabilities(window_probabilities, track_probability) > 0.5


def _prior_votes(functions: Sequence[LabellingFunction]) -> Float[np.ndarray, "functions 3 2"]:
    """Expected numbers of votes (-1, 0, 1) on instrumental and on vocal tracks."""
    shares = np.array([[f.instrumental, f.vocal] for f in functions]).reshape(-1, 2, 3)
    tracks = np.array([f.prior_tracks for f in functions])
    return tracks[:, None, None] * shares.transpose(0, 2, 1)


def _estimates(
    functions: Sequence[LabellingFunction],
    votes: Int[np.ndarray, "tracks functions"],
    probabilities: Float[np.ndarray, " tracks"],
    model: LabelModel,
) -> list[FunctionEstimate]:
    """One estimate for each kind of function: the captions of a track count together."""
    right = np.where(votes > 0, probabilities[:, None], 1 - probabilities[:, None])
    rows = []
    for kind in dict.fromkeys(f.kind for f in functions):
        same = [i for i, f in enumerate(functions) if f.kind == kind]
        cast = votes[:, same] != 0
        rows.append(
            FunctionEstimate(
                kind,
                coverage=float(cast.any(axis=1).mean()) if len(votes) else 0.0,
                accuracy=float(right[:, same][cast].mean()) if cast.any() else float("nan"),
                vocal=_as_vote_shares(model.table[same[0], :, 1]),
                instrumental=_as_vote_shares(model.table[same[0], :, 0]),
            )
        )
    return rows


def _as_vote_shares(shares: Float[np.ndarray, "3"]) -> tuple[float, float, float]:
    """Round the shares of votes -1, 0 and 1 to six decimals."""
    against, none, favour = shares.round(6).tolist()
    return against, none, favour
