"""Diversity of clips: mean pairwise cosine distance, also by prompt, and participation ratio."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


def embedding_diversity(x: Float[np.ndarray, "n dim"]) -> float:
    """Mean of ``1 - cosine`` over all pairs of different rows; ``x`` has unit rows.

    Higher is more varied: 0 for equal rows, 1 for orthogonal ones. Equals the trace of the sample
    covariance of unit rows. Unbiased in ``n``. Raises ValueError below two rows.

    >>> embedding_diversity(np.eye(3))
    1.0
    """
    if len(x) < 2:
        raise ValueError(f"a distance between clips needs 2 or more embeddings; got {len(x)}")
    return _mean_pair_distance(x)


@dataclass(frozen=True)
class Spread:
    """Diversity split by prompt: mean cosine distances with ``total = within + between``."""

    total: float
    """Distance of two clips of different prompts."""
    within: float
    """Distance of two clips of one prompt: near 0 if a prompt always gives the same clip."""
    between: float
    """Distance that prompts add: near 0, by chance below, if all prompts give the same music."""
    n_prompts: int
    """Prompts with two or more clips, over which ``within`` is the mean."""


def spread(rows: Float[np.ndarray, "n dim"], prompts: Sequence[Hashable]) -> Spread:
    """Split the diversity of unit rows by prompt; every prompt has the same weight.

    No part depends on the number of clips per prompt, unlike ``embedding_diversity`` of all rows,
    which lies between ``within`` and ``total``. Raises ValueError below two prompts, and if no
    prompt has two clips.
    """
    own = list(diversity_by_prompt(rows, prompts).values())
    centres = np.array([rows[kept].mean(0, dtype=np.float64) for kept in _by_prompt(prompts)])
    if len(centres) < 2:
        raise ValueError("variety between prompts needs clips of 2 or more prompts; got 1")
    within, total = float(np.mean(own)), _mean_pair_distance(centres)
    return Spread(total, within, total - within, len(own))


def diversity_by_prompt(
    rows: Float[np.ndarray, "n dim"], prompts: Sequence[Hashable]
) -> dict[Hashable, float]:
    """``embedding_diversity`` of each prompt's clips, for prompts with two or more.

    Raises ValueError if no prompt has two.
    """
    groups = _by_prompt(prompts)
    found = {prompts[kept[0]]: embedding_diversity(rows[kept]) for kept in groups if len(kept) > 1}
    if not found:
        raise ValueError("variety within a prompt needs 2 or more seeds of it; got 1 of each")
    return found


def _by_prompt(prompts: Sequence[Hashable]) -> list[list[int]]:
    """Row indices of each prompt, in the order of first appearance."""
    groups: dict[Hashable, list[int]] = {}
    for row, prompt in enumerate(prompts):
        groups.setdefault(prompt, []).append(row)
    return list(groups.values())


def _mean_pair_distance(rows: Float[np.ndarray, "n dim"]) -> float:
    """One minus the mean inner product of two different rows."""
    n, total = len(rows), rows.sum(0, dtype=np.float64)
    own = np.square(rows, dtype=np.float64).sum()
    return float(1 - (total @ total - own) / (n * (n - 1)))


def participation_ratio(x: Float[np.ndarray, "n dim"]) -> float:
    """Effective number of directions in which rows vary: (tr S)² / tr S², S the covariance.

    Higher is more varied; independent of the scale. Numerator and denominator are estimated without
    bias (``_unbiased_traces``); the plain ratio cannot exceed ``n - 1``. Raises ValueError below
    four rows, or if rows hardly vary.
    """
    n = len(x)
    if n < 4:
        raise ValueError(f"a participation ratio needs 4 or more embeddings; got {n}")
    centred = x - x.mean(0, dtype=np.float64)
    gram = centred @ centred.T
    trace, square_trace = _unbiased_traces(gram, n)
    if square_trace <= 1e-12:
        raise ValueError(f"these {n} embeddings hardly vary: they have no measurable direction")
    return float(trace / square_trace)


def _unbiased_traces(gram: Float[np.ndarray, "n n"], n: int) -> tuple[float, float]:
    """Unbiased estimates of (tr S)² and tr S² from the Gram matrix of mean-centred rows.

    Combines three plug-in sums whose expectations contain both and the fourth moment (Himeno and
    Yamada 2014). Assumes no Gaussian shape.
    """
    trace = np.trace(gram) / (n - 1)
    square = np.square(gram).sum() / (n - 1) ** 2
    fourth = np.square(np.diag(gram)).sum() / (n - 1)
    scale = (n - 1) / (n * (n - 2) * (n - 3))
    of_square = scale * ((n - 1) * (n - 2) * square + trace**2 - n * fourth)
    of_trace = scale * (2 * square + (n * n - 3 * n + 1) * trace**2 - n * fourth)
    return float(of_trace), float(of_square)
