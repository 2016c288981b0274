"""Fréchet audio distance (Kilgour et al. 2019, https://arxiv.org/abs/1812.08466)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import linalg
from scipy.linalg.blas import dsyrk  # pyright: ignore[reportAttributeAccessIssue]

WELL_CONDITIONED = 1e-6
"""Least ratio of squared Cholesky diagonal entries for a covariance to count as invertible."""
BLOCK = 512
"""Rows added to a covariance at a time, so that they fit a cache."""


@dataclass(frozen=True)
class Gaussian:
    """Gaussian fitted to embeddings; from ``fit_gaussian`` its factor has at most ``dim`` rows."""

    mean: Float[np.ndarray, " dim"]
    factor: Float[np.ndarray, "rows dim"]
    """The covariance is ``factor.T @ factor``; the factor keeps digits that the product loses."""
    n: int
    """Number of embeddings; only distances of equal numbers are comparable."""


def frechet_distance(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> float:
    """Squared Fréchet distance between Gaussians fitted to two embedding sets.

    Lower is closer; 0 means equal mean and covariance. Biased upward for few clips, so compare
    only values with equal ``n`` and ``m``, beside the score of as many real clips
    (``eval.intervals.real_floor``). Raises ValueError below two rows, or if rows are not finite.

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))
    9.0
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"a covariance needs 2 or more embeddings; got {len(x)} and {len(y)}")
    if min(len(x), len(y)) > x.shape[1]:
        means = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
        covariances = _covariance(x, means[0]), _covariance(y, means[1])
        cross = _trace_of_root_product(*covariances)
        if cross is not None:
            spread = sum(np.trace(covariance) for covariance in covariances)
            return _squared_distance(means[0] - means[1], spread, cross)
        return gaussian_distance(fit_gaussian(x), fit_gaussian(y))
    return gaussian_distance(_gaussian_with_raw_factor(x), _gaussian_with_raw_factor(y))


def fit_gaussian(rows: Float[np.ndarray, "n dim"]) -> Gaussian:
    """Fit a Gaussian with a factor of at most ``dim`` rows; ValueError below two embeddings."""
    n, dim = rows.shape
    if n < 2:
        raise ValueError(f"a covariance needs 2 or more embeddings; got {n}")
    raw = _gaussian_with_raw_factor(rows)
    return raw if n <= dim else Gaussian(raw.mean, np.linalg.qr(raw.factor).R, n)


def gaussian_distance(p: Gaussian, q: Gaussian) -> float:
    """``frechet_distance`` of the two sets that the Gaussians were fitted to."""
    a, b = p.factor, q.factor
    many = min(p.n, q.n) > len(p.mean)
    cross = _trace_of_root_product(a.T @ a, b.T @ b) if many else None
    if cross is None:
        cross = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    return _squared_distance(p.mean - q.mean, np.square(a).sum() + np.square(b).sum(), cross)


def _squared_distance(shift: Float[np.ndarray, " dim"], spread: float, cross: float) -> float:
    distance = float(shift @ shift + spread - 2 * cross)
    if not np.isfinite(distance):
        raise ValueError("an embedding is not finite, so there is no distance")
    return max(0.0, distance)


def _trace_of_root_product(
    s: Float[np.ndarray, "dim dim"], t: Float[np.ndarray, "dim dim"]
) -> float | None:
    """Trace of sqrt(S T), or None if S is too nearly singular for it to be exact.

    It is the sum of the roots of the eigenvalues of T S. If S is singular up to rounding, roots of
    rounded zeros would lose eight digits. The nuclear norm of the factors' product is the same
    number without that loss.
    """
    try:
        pivots = np.square(np.diag(linalg.cholesky(s, check_finite=False)))
    except linalg.LinAlgError:
        return None
    if pivots.min() < WELL_CONDITIONED * pivots.max():
        return None
    values = linalg.eigh(t, s, eigvals_only=True, type=2, driver="gv")
    return float(np.sqrt(values.clip(0)).sum())


def _gaussian_with_raw_factor(rows: Float[np.ndarray, "n dim"]) -> Gaussian:
    """Gaussian whose factor has one row per embedding."""
    mean = rows.mean(0, dtype=np.float64)
    return Gaussian(mean, (rows - mean) / np.sqrt(len(rows) - 1), len(rows))


def _covariance(
    rows: Float[np.ndarray, "n dim"], mean: Float[np.ndarray, " dim"]
) -> Float[np.ndarray, "dim dim"]:
    """Covariance in float64: blocks are added in place to the upper half, then mirrored."""
    upper = np.zeros((len(mean), len(mean)), order="F")
    for start in range(0, len(rows), BLOCK):
        centred = rows[start : start + BLOCK] - mean
        upper = dsyrk(1.0, centred.T, beta=1.0, c=upper, overwrite_c=True)
    return (upper + np.triu(upper, 1).T) / (len(rows) - 1)
