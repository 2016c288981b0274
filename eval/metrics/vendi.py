"""Vendi score: effective number of different clips (Friedman and Dieng 2023).

https://arxiv.org/abs/2210.02410, order 1, with the cosine as similarity.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

DRAWS = 20
"""Random subsets of the larger set."""


@dataclass(frozen=True)
class VendiScores:
    """Vendi scores, 1..n, of two sets of clips for equal numbers of both."""

    score: float
    """Higher is more varied; the target is ``reference_score``."""
    reference_score: float
    n: int
    """Clips of each set that are compared: the number of the smaller set."""


def vendi_score(x: Float[np.ndarray, "n dim"]) -> float:
    """Exponential of the entropy of the eigenvalues of ``X Xᵀ / n``; ``x`` has unit rows.

    1 for equal rows, n for orthogonal ones. Grows with ``n`` for clips of one source, so compare
    at equal n only. Raises ValueError without rows.

    >>> round(vendi_score(np.eye(3)), 6)
    3.0
    """
    n, dim = x.shape
    if n < 1:
        raise ValueError("a Vendi score needs 1 or more embeddings; got 0")
    x = x.astype(np.float64)
    values = np.linalg.eigvalsh((x @ x.T if n <= dim else x.T @ x) / n)
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


def vendi_scores_of_both(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"], seed: int = 0
) -> VendiScores:
    """Scores of both sets; the larger one's is a mean over random subsets of the smaller size.

    Raises ValueError below two clips in either.
    """
    n = min(len(x), len(reference))
    if n < 2:
        raise ValueError(f"variety needs 2 or more clips; got {len(x)} and {len(reference)}")
    rng = np.random.default_rng(seed)
    return VendiScores(
        _mean_score_of_subsets(x, n, rng), _mean_score_of_subsets(reference, n, rng), n
    )


def _mean_score_of_subsets(
    rows: Float[np.ndarray, "n dim"], n: int, rng: np.random.Generator
) -> float:
    if len(rows) == n:
        return vendi_score(rows)
    subsets = (rows[rng.choice(len(rows), n, replace=False)] for _ in range(DRAWS))
    return float(np.mean([vendi_score(subset) for subset in subsets]))
