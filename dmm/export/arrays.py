"""Weights that are loaded one at a time, when they are written."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class LazyArray:
    """An array of known shape and type, computed when it is needed."""

    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[], np.ndarray]
    is_half: bool = False
    """Its float32 numbers are all half-precision numbers."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def map(
        self,
        change: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, ...] | None = None,
        dtype: "np.typing.DTypeLike | None" = None,
        is_half: bool = False,
    ) -> "LazyArray":
        """Apply ``change`` on loading; shape and type stay unless given."""
        return LazyArray(
            self.shape if shape is None else shape,
            self.dtype if dtype is None else np.dtype(dtype),
            lambda: change(self.load()),
            is_half,
        )


def lazy_parameter(tensor: Tensor) -> LazyArray:
    """A network's parameter as float32."""
    return LazyArray(
        tuple(tensor.shape),
        np.dtype(np.float32),
        lambda: tensor.detach().to("cpu", torch.float32).numpy(),
        tensor.dtype == torch.float16,
    )
