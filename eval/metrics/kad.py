"""Kernel audio distance: an unbiased MMD (Chung et al. 2025, https://arxiv.org/abs/2502.15602)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .distances import pair_distances, squared_distances

SCALE = 100
"""The paper's factor, for readable numbers."""
MEDIAN_ROWS = 2000
"""Bandwidth and permutation test use at most so many evenly spaced reference rows."""

EQUAL = 1e-6
"""Unit float32 rows that are no farther apart are one row, rounded."""


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
    gamma, pairs = _gamma(x, y), pair_distances(y)
    xx = np.exp(-gamma * squared_distances(x, x))
    np.fill_diagonal(xx, 0)
    yy_mean = float(np.exp(-gamma * pairs).mean())
    return KernelSums(xx, np.exp(-gamma * squared_distances(x, y)), yy_mean)


def permutation_p(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    permutations: int = 1000,
    seed: int = 0,
) -> float:
    """How often a random split of all clips has a kernel distance as great: p, 0..1.

    Small means that the clips do not come from the reference's source. The least value is
    ``1 / (permutations + 1)``. Clips are taken as independent: several clips of one prompt are
    more alike than single draws of real music, which is a difference that this test finds too.

    Kernels are computed once, by the reference's bandwidth, on all of x and at most 2000 of y.
    """
    gamma, n = _gamma(x, y), len(x)
    pooled = np.concatenate([x, _thinned(y)])
    kernel = np.exp(-gamma * squared_distances(pooled, pooled))
    np.fill_diagonal(kernel, 0)
    chosen = np.zeros((permutations + 1, len(pooled)))
    chosen[:, :n] = 1
    chosen[1:] = np.random.default_rng(seed).permuted(chosen[1:], axis=1)  # row 0: as they are
    distances = _distances_of_splits(kernel, chosen)
    # What is equal but for the order of summation counts as equal.
    return float((distances >= distances[0] - 1e-12).mean())


def bandwidth(reference: Float[np.ndarray, "m dim"]) -> float:
    """Median distance between reference rows: the ruler must not depend on the set measured."""
    median = float(np.median(np.sqrt(pair_distances(_thinned(reference)))))
    if median < EQUAL:
        raise ValueError("more than half of the reference embeddings are equal: no bandwidth")
    return median


def _gamma(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> float:
    if min(len(x), len(y)) < 2:
        raise ValueError(f"a kernel distance needs 2 or more embeddings; got {len(x)} and {len(y)}")
    return 1 / (2 * bandwidth(y) ** 2)


def _thinned(reference: Float[np.ndarray, "m dim"]) -> Float[np.ndarray, "some dim"]:
    return reference[:: -(-len(reference) // MEDIAN_ROWS)]


def _distances_of_splits(
    kernel: Float[np.ndarray, "all all"], chosen: Float[np.ndarray, "splits all"]
) -> Float[np.ndarray, " splits"]:
    """Kernel distance of each split, whose row holds 1 for a clip of x and 0 for one of y."""
    n = chosen[0].sum()
    m = len(kernel) - n
    to_chosen = chosen @ kernel
    xx = (to_chosen * chosen).sum(1)
    xy = to_chosen.sum(1) - xx
    yy = kernel.sum() - 2 * xy - xx
    return SCALE * (xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m))
