"""Kernel audio distance: an unbiased MMD (Chung et al. 2025, https://arxiv.org/abs/2502.15602)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .distances import pair_distances, squared_distances

SCALE = 100
"""The paper's factor for readable numbers."""
MEDIAN_ROWS = 2000
"""Most reference rows, evenly spaced, for bandwidth and permutation test."""

EQUAL = 1e-6
"""Distance below which two unit float32 rows count as equal."""


@dataclass(frozen=True)
class KernelMatrices:
    """Gaussian kernels within and between two sets, so that rows can be left out cheaply."""

    xx: Float[np.ndarray, "n n"]
    """Kernel within x; the diagonal is 0."""
    xy: Float[np.ndarray, "n m"]
    yy_mean: float
    """Mean kernel over pairs of different reference rows."""

    def distance(self, keep: np.ndarray | slice = slice(None)) -> float:
        """Kernel distance of the kept rows of x; ValueError below two."""
        xx = self.xx[keep][:, keep]
        n = len(xx)
        if n < 2:
            raise ValueError(f"a kernel distance needs 2 or more embeddings; got {n}")
        return float(SCALE * (xx.sum() / (n * (n - 1)) + self.yy_mean - 2 * self.xy[keep].mean()))


def kernel_distance(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> float:
    """100 x squared MMD between embeddings ``x`` and reference ``y``, unbiased.

    Lower is closer; about 0 for two samples of one source, possibly below 0 by chance. Raises
    ValueError below two rows, or if more than half of the distances within ``y`` are 0.
    """
    return kernel_matrices(x, y).distance()


def kernel_matrices(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> KernelMatrices:
    """Kernels for ``kernel_distance``; memory grows with the square of the larger set."""
    gamma, pairs = _kernel_gamma(x, y), pair_distances(y)
    xx = np.exp(-gamma * squared_distances(x, x))
    np.fill_diagonal(xx, 0)
    yy_mean = float(np.exp(-gamma * pairs).mean())
    return KernelMatrices(xx, np.exp(-gamma * squared_distances(x, y)), yy_mean)


def permutation_p(
    x: Float[np.ndarray, "n dim"],
    y: Float[np.ndarray, "m dim"],
    permutations: int = 1000,
    seed: int = 0,
) -> float:
    """Permutation test: share of random splits with a kernel distance at least as high, 0..1.

    A small p means that clips and reference differ. Its least value is ``1 / (permutations + 1)``.
    Clips count as independent, so several similar clips of one prompt lower p too.

    Kernels use the reference's bandwidth, all rows of ``x`` and at most 2000 rows of ``y``.
    """
    gamma, n = _kernel_gamma(x, y), len(x)
    pooled = np.concatenate([x, _every_nth_row(y)])
    kernel = np.exp(-gamma * squared_distances(pooled, pooled))
    np.fill_diagonal(kernel, 0)
    chosen = np.zeros((permutations + 1, len(pooled)))
    chosen[:, :n] = 1
    chosen[1:] = np.random.default_rng(seed).permuted(chosen[1:], axis=1)  # row 0: unchanged
    distances = _distances_of_splits(kernel, chosen)
    # Distances that differ by rounding alone count as equal.
    return float((distances >= distances[0] - 1e-12).mean())


def bandwidth(reference: Float[np.ndarray, "m dim"]) -> float:
    """Median distance of two reference rows; ValueError if it is 0.

    It must not depend on the clips that are scored.
    """
    median = float(np.median(np.sqrt(pair_distances(_every_nth_row(reference)))))
    if median < EQUAL:
        raise ValueError("more than half of the reference embeddings are equal: no bandwidth")
    return median


def _kernel_gamma(x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> float:
    if min(len(x), len(y)) < 2:
        raise ValueError(f"a kernel distance needs 2 or more embeddings; got {len(x)} and {len(y)}")
    return 1 / (2 * bandwidth(y) ** 2)


def _every_nth_row(reference: Float[np.ndarray, "m dim"]) -> Float[np.ndarray, "some dim"]:
    return reference[:: -(-len(reference) // MEDIAN_ROWS)]


def _distances_of_splits(
    kernel: Float[np.ndarray, "all all"], chosen: Float[np.ndarray, "splits all"]
) -> Float[np.ndarray, " splits"]:
    """Kernel distance of each split; its row is 1 for clips of x and 0 for clips of y."""
    n = chosen[0].sum()
    m = len(kernel) - n
    to_chosen = chosen @ kernel
    xx = (to_chosen * chosen).sum(1)
    xy = to_chosen.sum(1) - xx
    yy = kernel.sum() - 2 * xy - xx
    return SCALE * (xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m))
