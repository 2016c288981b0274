"""How exactly weights are written."""

import torch

from ..devices import DTYPES
from ..errors import PresetError


def dtype_of(precision: str | None) -> torch.dtype | None:
    """The type of that name; None stays None."""
    if precision is None:
        return None
    if precision not in DTYPES:
        raise PresetError(f"no precision {precision!r}; known: {', '.join(DTYPES)}")
    return DTYPES[precision]
