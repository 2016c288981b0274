"""Kernel audio distance: an unbiased MMD (Chung et al. 2025, https://arxiv.org/abs/2502.15602)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist, pdist

SCALE = 100
"""The paper's factor, for readable numbers."""
MEDIAN_ROWS = 2000
"""The bandwidth is taken from at most so many evenly spaced reference rows."""


@dataclass(frozen=True)
class KernelSums:
    """Gaussian kernels between two sets, kept so that rows can be left out cheaply."""

    xx: Float[np.ndarray, "n n"]
    """Zero on the diagonal."""
    xy: Float[np.ndarray, "n m"]
    yy_mean: float
    """Mean over pairs of different reference rows."""

    def distance(self, keep: np.ndarray | slice = slice(None)) -> float:
        """The distance of the kept rows of x; ValueError below two."""
        xx = self.xx[keep][:, keep]
        n = len(xx)
        if n < 2:
            raise ValueError(f"a kernel distance needs 2 or more embeddings; got {n}")
        return float(SCALE * (xx.sum() / (n * (n - 1)) + self.yy_mean - 2 * self.xy[keep].mean()))


def kernel_distance(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> float:
    """100 x squared MMD between embeddings ``x`` and reference ``y``, unbiased.

    Lower is closer; about 0 for two samples of one source, and below 0 by chance: not clipped.
    Raises ValueError below two rows, or if the reference rows are all equal.
    """
    return kernel_sums(x, y).distance()


def kernel_sums(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> KernelSums:
    """The kernels of ``kernel_distance``; memory grows with the square of the larger set."""
    if min(len(x), len(y)) < 2:
        raise ValueError(f"a kernel distance needs 2 or more embeddings; got {len(x)} and {len(y)}")
    x, y = x.astype(np.float64), y.astype(np.float64)
    gamma = 1 / (2 * bandwidth(y) ** 2)
    xx = np.exp(-gamma * cdist(x, x, "sqeuclidean"))
    np.fill_diagonal(xx, 0)
    yy_mean = float(np.exp(-gamma * pdist(y, "sqeuclidean")).mean())
    return KernelSums(xx, np.exp(-gamma * cdist(x, y, "sqeuclidean")), yy_mean)


def bandwidth(reference: Float[np.ndarray, "m dim"]) -> float:
    """Median distance between reference rows: the ruler must not depend on the set measured."""
    step = -(-len(reference) // MEDIAN_ROWS)
    median = float(np.median(pdist(reference[::step])))
    if median == 0:
        raise ValueError("more than half of the reference embeddings are equal: no bandwidth")
    return median
