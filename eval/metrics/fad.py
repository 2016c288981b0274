"""Fréchet audio distance (Kilgour et al. 2019, https://arxiv.org/abs/1812.08466)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import linalg
from scipy.linalg.blas import dsyrk  # pyright: ignore[reportAttributeAccessIssue]

WELL_CONDITIONED = 1e-6
"""A covariance counts as invertible while the squares of its Cholesky diagonal span no more."""
BLOCK = 512


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
    if min(len(x), len(y)) > x.shape[1]:
        means = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
        covariances = _covariance(x, means[0]), _covariance(y, means[1])
        cross = _root_trace(*covariances)
        if cross is not None:
            spread = sum(np.trace(covariance) for covariance in covariances)
            return _total(means[0] - means[1], spread, cross)
        return gaussian_distance(statistics(x), statistics(y))
    return gaussian_distance(_raw(x), _raw(y))


def statistics(rows: Float[np.ndarray, "n dim"]) -> Gaussian:
    """The Gaussian of a set, its factor in at most ``dim`` rows; ValueError below two."""
    n, dim = rows.shape
    if n < 2:
        raise ValueError(f"a covariance needs 2 or more embeddings; got {n}")
    raw = _raw(rows)
    return raw if n <= dim else Gaussian(raw.mean, np.linalg.qr(raw.factor).R, n)


def gaussian_distance(p: Gaussian, q: Gaussian) -> float:
    """``frechet_distance`` of the sets that ``p`` and ``q`` were fitted to."""
    a, b = p.factor, q.factor
    many = min(p.n, q.n) > len(p.mean)
    cross = _root_trace(a.T @ a, b.T @ b) if many else None
    if cross is None:
        cross = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    return _total(p.mean - q.mean, np.square(a).sum() + np.square(b).sum(), cross)


def _total(shift: Float[np.ndarray, " dim"], spread: float, cross: float) -> float:
    distance = float(shift @ shift + spread - 2 * cross)
    if not np.isfinite(distance):
        raise ValueError("an embedding is not finite, so the distance is none")
    return max(0.0, distance)


def _root_trace(s: Float[np.ndarray, "dim dim"], t: Float[np.ndarray, "dim dim"]) -> float | None:
    """Trace sqrt(S T): the roots of the eigenvalues of T S, by the Cholesky factor of S.

    None if S is no more than rounding in some direction: roots of rounded zeros would cost eight
    digits there, while the nuclear norm of the factors' product, the same number, costs none.
    """
    try:
        pivots = np.square(np.diag(linalg.cholesky(s, check_finite=False)))
    except linalg.LinAlgError:
        return None
    if pivots.min() < WELL_CONDITIONED * pivots.max():
        return None
    values = linalg.eigh(t, s, eigvals_only=True, type=2, driver="gv")
    return float(np.sqrt(values.clip(0)).sum())


def _raw(rows: Float[np.ndarray, "n dim"]) -> Gaussian:
    """A factor with a row for every clip."""
    mean = rows.mean(0, dtype=np.float64)
    return Gaussian(mean, (rows - mean) / np.sqrt(len(rows) - 1), len(rows))


def _covariance(
    rows: Float[np.ndarray, "n dim"], mean: Float[np.ndarray, " dim"]
) -> Float[np.ndarray, "dim dim"]:
    """In float64, half of the symmetric product, added up in place from blocks that fit a cache."""
    upper = np.zeros((len(mean), len(mean)), order="F")
    for start in range(0, len(rows), BLOCK):
        centred = rows[start : start + BLOCK] - mean
        upper = dsyrk(1.0, centred.T, beta=1.0, c=upper, overwrite_c=True)
    return (upper + np.triu(upper, 1).T) / (len(rows) - 1)
