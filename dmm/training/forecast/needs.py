"""GPU memory and RAM that the shipped presets need for clips of 512 x 512, for ``dmm doctor``.

By the forecasts of ``dmm train --check`` for SDXL 1.0 and SD 1.5, which take seconds each; a test
compares them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """GB (2^30 bytes) at the peak of a training."""

    gpu: float
    """Memory of the GPU, if there is one."""
    ram: float
    """RAM beside a GPU."""
    ram_alone: float
    """RAM without a GPU, with ``optimizer_type=AdamW``."""


NEEDS = {
    "sdxl-24gb": Needs(8.9, 12.9, 10.7),
    "sdxl-16gb": Needs(8.9, 12.9, 10.7),
    "sdxl-12gb": Needs(6.8, 12.9, 11.8),
    "sd15-12gb": Needs(4.0, 10.6, 8.1),
}
"""By the name of the preset, the most demanding first."""
SLOW = "minutes a step"
"""Speed of these presets on a CPU."""


def presets_that_fit(ram_bytes: int, gpu_bytes: int | None) -> list[str]:
    """Names of the presets that fit into this RAM and GPU; without a GPU, into the RAM alone."""
    return [
        name
        for name, needs in NEEDS.items()
        if (needs.ram_alone if gpu_bytes is None else needs.ram) * 2**30 <= ram_bytes
        and (gpu_bytes is None or needs.gpu * 2**30 <= gpu_bytes)
    ]
