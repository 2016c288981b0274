"""How exactly weights are written."""

import torch

from ..errors import PresetError

PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def dtype_of(precision: str | None) -> torch.dtype | None:
    """The type of that name; None stays None."""
    if precision is None:
        return None
    if precision not in PRECISIONS:
        raise PresetError(f"no precision {precision!r}; known: {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]
