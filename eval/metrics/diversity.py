"""Diversity of clips: mean cosine distance of pairs, also by prompt, and participation ratio."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


def mean_cosine_distance(x: Float[np.ndarray, "n dim"]) -> float:
    """Mean of ``1 - cosine`` over all pairs of different rows; ``x`` has unit rows.

    Higher is more varied: 0 for equal rows, 1 for orthogonal ones. Equals the trace of the rows'
    sample covariance. Its expected value is the same for any ``n``. Raises ValueError below two
    rows.

    >>> mean_cosine_distance(np.eye(3))
    1.0
    """
    if len(x) < 2:
        raise ValueError(f"a distance between clips needs 2 or more embeddings; got {len(x)}")
    return _mean_pair_distance(x)


@dataclass(frozen=True)
class SpreadByPrompt:
    """Diversity split by prompt: mean cosine distances with ``across = within + added``."""

    across: float
    """Distance of two clips of different prompts, on average over pairs of prompts."""
    within: float
    """Distance of two clips of one prompt: near 0 if a prompt always gives the same clip."""
    added: float
    """Distance that different prompts add: near 0 (noise can make it negative) if all prompts give
    the same music."""
    n_repeated_prompts: int
    """Number of prompts with two or more clips; ``within`` is the mean over these."""


def spread_by_prompt(
    rows: Float[np.ndarray, "n dim"], prompts: Sequence[Hashable]
) -> SpreadByPrompt:
    """Split the diversity of unit rows by prompt; every prompt has the same weight.

    Expected values do not depend on the number of clips per prompt, unlike that of
    ``mean_cosine_distance`` of all rows. Raises ValueError below two prompts, and if no prompt has
    two clips.
    """
    distances = list(distance_within_each_prompt(rows, prompts).values())
    centres = np.array(
        [rows[group].mean(0, dtype=np.float64) for group in _row_indices_by_prompt(prompts)]
    )
    if len(centres) < 2:
        raise ValueError("variety between prompts needs clips of 2 or more prompts; got 1")
    within, across = float(np.mean(distances)), _mean_pair_distance(centres)
    return SpreadByPrompt(across, within, across - within, len(distances))


def distance_within_each_prompt(
    rows: Float[np.ndarray, "n dim"], prompts: Sequence[Hashable]
) -> dict[Hashable, float]:
    """``mean_cosine_distance`` of each prompt's clips, for prompts with two or more.

    Raises ValueError if no prompt has two.
    """
    groups = [group for group in _row_indices_by_prompt(prompts) if len(group) > 1]
    if not groups:
        raise ValueError("variety within a prompt needs 2 or more seeds of it; got 1 of each")
    return {prompts[group[0]]: mean_cosine_distance(rows[group]) for group in groups}


def _row_indices_by_prompt(prompts: Sequence[Hashable]) -> list[list[int]]:
    """Row indices of each prompt, in the order of first appearance."""
    groups: dict[Hashable, list[int]] = {}
    for row, prompt in enumerate(prompts):
        groups.setdefault(prompt, []).append(row)
    return list(groups.values())


def _mean_pair_distance(rows: Float[np.ndarray, "n dim"]) -> float:
    """One minus the mean inner product of two different rows, which may have any length."""
    n, row_sum = len(rows), rows.sum(0, dtype=np.float64)
    squared_lengths = np.square(rows, dtype=np.float64).sum()
    return float(1 - (row_sum @ row_sum - squared_lengths) / (n * (n - 1)))


def participation_ratio(x: Float[np.ndarray, "n dim"]) -> float:
    """Effective number of directions in which rows vary: (tr S)² / tr S², S the covariance.

    Higher is more varied. Numerator and denominator are estimated without bias
    (``_unbiased_traces``), because the ratio of the sample covariance cannot exceed ``n - 1``.
    Raises ValueError below four rows, or if rows hardly vary.
    """
    n = len(x)
    if n < 4:
        raise ValueError(f"a participation ratio needs 4 or more embeddings; got {n}")
    centred = x - x.mean(0, dtype=np.float64)
    gram = centred @ centred.T
    squared_trace, trace_of_square = _unbiased_traces(gram, n)
    if trace_of_square <= 1e-12 * np.square(x, dtype=np.float64).sum(1).mean() ** 2:
        raise ValueError(f"these {n} embeddings hardly vary: they have no measurable direction")
    return squared_trace / trace_of_square


def _unbiased_traces(gram: Float[np.ndarray, "n n"], n: int) -> tuple[float, float]:
    """Unbiased estimates of (tr S)² and tr S² from the Gram matrix of mean-centred rows.

    Each is a combination of three sums, whose expected values contain both traces and the fourth
    moment (Himeno and Yamada 2014). Rows need not be Gaussian.
    """
    trace = np.trace(gram) / (n - 1)
    square = np.square(gram).sum() / (n - 1) ** 2
    fourth = np.square(np.diag(gram)).sum() / (n - 1)
    scale = (n - 1) / (n * (n - 2) * (n - 3))
    of_square = scale * ((n - 1) * (n - 2) * square + trace**2 - n * fourth)
    of_trace = scale * (2 * square + (n * n - 3 * n + 1) * trace**2 - n * fourth)
    return float(of_trace), float(of_square)
