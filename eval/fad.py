"""Fréchet audio distance (Kilgour et al. 2019, https://arxiv.org/abs/1812.08466)."""

import numpy as np
from jaxtyping import Float


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
    mean_x, mean_y = (z.mean(0, dtype=np.float64) for z in (x, y))
    # Factors: covariance = factor.T @ factor.
    a, b = (x - mean_x) / np.sqrt(len(x) - 1), (y - mean_y) / np.sqrt(len(y) - 1)
    few = min(len(x), len(y)) <= x.shape[1]  # then a covariance is singular
    cross = _root_trace_from_factors(a, b) if few else _root_trace_from_covariances(a, b)
    shift = np.square(mean_x - mean_y).sum()
    return max(0.0, float(shift + np.square(a).sum() + np.square(b).sum() - 2 * cross))


def _root_trace_from_factors(a: Float[np.ndarray, "n dim"], b: Float[np.ndarray, "m dim"]) -> float:
    """Nuclear norm of A Bᵀ, which is tr sqrt(AᵀA BᵀB): no dim x dim root, good when singular."""
    # R of a QR factorisation has the same covariance in at most dim rows.
    short_a, short_b = np.linalg.qr(a).R, np.linalg.qr(b).R
    return float(np.linalg.svd(short_a @ short_b.T, compute_uv=False).sum())


def _root_trace_from_covariances(
    a: Float[np.ndarray, "n dim"], b: Float[np.ndarray, "m dim"]
) -> float:
    """Trace sqrt(AᵀA BᵀB) as tr sqrt(R BᵀB R), R = sqrt(AᵀA): two symmetric eigenproblems."""
    values, vectors = np.linalg.eigh(a.T @ a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return float(np.sqrt(np.linalg.eigvalsh(root @ (b.T @ b) @ root).clip(0)).sum())
