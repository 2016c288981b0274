"""Vendi score: how many different clips there are (Friedman and Dieng 2023).

https://arxiv.org/abs/2210.02410, order 1, cosine as the likeness.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

DRAWS = 20


@dataclass(frozen=True)
class Vendi:
    """Effective numbers of different clips, 1..n, of two sets at equal numbers of clips."""

    clips: float
    """Higher is more varied; the target is ``reference``."""
    reference: float
    n: int
    """Clips of each set in a draw: the smaller set's number."""


def vendi_score(x: Float[np.ndarray, "n dim"]) -> float:
    """Exponential of the entropy of the eigenvalues of ``X Xᵀ / n``; ``x`` has unit rows.

    1 for equal rows, n for orthogonal ones. Grows with ``n`` for one and the same source, so
    compare at equal n only. Raises ValueError without rows.

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


def vendi_pair(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"], seed: int = 0
) -> Vendi:
    """Scores of both sets; the larger one is thinned to the other's number, and averaged.

    Raises ValueError below two clips in either.
    """
    n = min(len(x), len(reference))
    if n < 2:
        raise ValueError(f"variety needs 2 or more clips; got {len(x)} and {len(reference)}")
    rng = np.random.default_rng(seed)
    return Vendi(_mean_score(x, n, rng), _mean_score(reference, n, rng), n)


def _mean_score(rows: Float[np.ndarray, "n dim"], n: int, rng: np.random.Generator) -> float:
    if len(rows) == n:
        return vendi_score(rows)
    draws = (rows[rng.choice(len(rows), n, replace=False)] for _ in range(DRAWS))
    return float(np.mean([vendi_score(drawn) for drawn in draws]))
