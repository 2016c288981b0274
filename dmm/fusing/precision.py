"""Data type of saved weights, by the name of a precision (fp32, fp16, bf16)."""

import torch

from ..devices import DTYPES
from ..errors import PresetError


def dtype_of(precision: str | None) -> torch.dtype | None:
    """Data type of a precision, None for None; PresetError for an unknown name."""
    if precision is None:
        return None
    if precision not in DTYPES:
        raise PresetError(f"no precision {precision!r}; known: {', '.join(DTYPES)}")
    return DTYPES[precision]
