"""A LoRA and how much of it, as the command line names them."""

import math
from dataclasses import dataclass
from pathlib import Path

from ..errors import PresetError


@dataclass(frozen=True)
class Share:
    """A LoRA and how much of it; 1 is as it was trained, less than 0 the opposite."""

    lora: Path
    ratio: float = 1.0


def parse_share(text: str) -> Share:
    """A share from PATH or PATH:RATIO.

    >>> parse_share("jazz.safetensors:0.5").ratio
    0.5
    """
    path, _, ratio = text.rpartition(":")
    try:
        share = Share(Path(path), float(ratio))
    except ValueError:  # no ratio: what stands behind the colon is part of the path
        return Share(Path(text))
    if not path or not math.isfinite(share.ratio):
        raise PresetError(f"--lora {text}: write PATH or PATH:RATIO, such as jazz.safetensors:0.5")
    return share
