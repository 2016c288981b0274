"""Fréchet audio distance (Kilgour et al. 2019, https://arxiv.org/abs/1812.08466)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

WELL_CONDITIONED = 1e-6
"""A covariance counts as invertible while the squares of its Cholesky diagonal span no more."""


@dataclass(frozen=True)
class Gaussian:
    """What a set of embeddings comes down to for this distance; small enough to be saved."""

    mean: Float[np.ndarray, " dim"]
    factor: Float[np.ndarray, "rows dim"]
    """The covariance is ``factor.T @ factor``; a factor keeps the digits that a product loses."""
    n: int
    """Embeddings it was fitted to: distances from other numbers of them are not comparable."""


def frechet_distance(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> float:
    """Squared Fréchet distance between Gaussians fitted to two embedding sets.

    Lower is closer; 0 means equal mean and covariance. Biased upward for few clips, so compare
    only values computed with equal ``n`` and ``m``, beside the floor that real clips reach at that
    size (``eval.scores``). Raises ValueError below two rows.

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))
    9.0
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"a covariance needs 2 or more embeddings; got {len(x)} and {len(y)}")
    return gaussian_distance(_fit(x), _fit(y))


def statistics(rows: Float[np.ndarray, "n dim"]) -> Gaussian:
    """The Gaussian of a set, its factor cut to ``dim`` rows; ValueError below two."""
    if len(rows) < 2:
        raise ValueError(f"a covariance needs 2 or more embeddings; got {len(rows)}")
    fitted = _fit(rows)
    return Gaussian(fitted.mean, _short(fitted.factor), fitted.n)


def gaussian_distance(p: Gaussian, q: Gaussian) -> float:
    """``frechet_distance`` of the sets that ``p`` and ``q`` were fitted to."""
    spread = np.square(p.factor).sum() + np.square(q.factor).sum()
    shift = np.square(p.mean - q.mean).sum()
    return max(0.0, float(shift + spread - 2 * _root_trace(p.factor, q.factor)))


def _fit(rows: Float[np.ndarray, "n dim"]) -> Gaussian:
    mean = rows.mean(0, dtype=np.float64)
    return Gaussian(mean, (rows - mean) / np.sqrt(len(rows) - 1), len(rows))


def _short(factor: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "short dim"]:
    """A factor of the same covariance in at most ``dim`` rows."""
    rows, dim = factor.shape
    return np.linalg.qr(factor).R if rows > dim else factor


def _root_trace(a: Float[np.ndarray, "n dim"], b: Float[np.ndarray, "m dim"]) -> float:
    """Trace sqrt(AᵀA BᵀB), which is also the nuclear norm of A Bᵀ.

    With many rows two products of dim x dim are cheapest. With few rows, or few directions, roots
    of rounded zeros would cost eight digits there, and the norm costs none.
    """
    if min(len(a), len(b)) > a.shape[1]:
        lower = _cholesky(a.T @ a)
        if lower is not None:
            squares = np.linalg.eigvalsh(lower.T @ (b.T @ b) @ lower)
            return float(np.sqrt(squares.clip(0)).sum())
        a, b = _short(a), _short(b)
    return float(np.linalg.svd(a @ b.T, compute_uv=False).sum())


def _cholesky(covariance: Float[np.ndarray, "dim dim"]) -> Float[np.ndarray, "dim dim"] | None:
    """Lower L with L Lᵀ the covariance, or None where that is not accurate."""
    try:
        lower = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None
    pivots = np.square(np.diag(lower))
    return lower if pivots.min() > WELL_CONDITIONED * pivots.max() else None
