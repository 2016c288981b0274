"""PyTorch's CPU noise in NumPy: the same seed gives the same picture with and without torch.

Values agree with ``torch.randn`` to the last rounding of log, sine and cosine.
"""

import numpy as np
from jaxtyping import Float

GROUP = 16
"""PyTorch turns this many uniform numbers at a time into normal ones, by Box and Muller."""


class TorchRandom:
    """NumPy counterpart of ``torch.Generator().manual_seed(seed)`` on the CPU, for float32."""

    def __init__(self, seed: int) -> None:
        """Seeds of over 32 bits lose their upper bits, as in PyTorch."""
        self._state = np.random.RandomState(seed & 0xFFFFFFFF)

    def randn(self, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
        """Standard normal noise; ValueError below 16 numbers, which PyTorch makes differently."""
        size = int(np.prod(shape))
        if size < GROUP:
            raise ValueError(f"noise of {size} numbers; {GROUP} or more are needed")
        values = self._uniform(size)
        whole = size - size % GROUP
        values[:whole] = _normal(values[:whole])
        if whole < size:  # the last 16 are made again, from new numbers
            values[-GROUP:] = _normal(self._uniform(GROUP))
        return values.reshape(shape)

    def _uniform(self, count: int) -> Float[np.ndarray, " count"]:
        bits = np.frombuffer(self._state.bytes(4 * count), "<u4")
        return (bits & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)


def _normal(uniform: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Turn uniform numbers, a multiple of ``GROUP``, into normal ones."""
    first, second = np.split(uniform.reshape(-1, GROUP), 2, axis=1)
    radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - first))
    angle = np.float32(2 * np.pi) * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


def first_noise(seed: int, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Initial noise of a clip, decided by its seed.

    >>> first_noise(0, (2, 8)).shape
    (2, 8)
    """
    return TorchRandom(seed).randn(shape)


def slerp(
    a: Float[np.ndarray, "*shape"], b: Float[np.ndarray, "*shape"], amount: float
) -> Float[np.ndarray, "*shape"]:
    """Spherical interpolation from ``a`` (0) to ``b`` (1), which keeps the noise level."""
    if amount in (0, 1):
        return b.copy() if amount else a.copy()
    cosine = np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if angle < 1e-3:
        return a + np.float32(amount) * (b - a)
    weights = np.sin((1 - amount) * angle), np.sin(amount * angle)
    return ((weights[0] * a + weights[1] * b) / np.sin(angle)).astype(np.float32)
