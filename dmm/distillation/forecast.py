"""``dmm distill --check``: steps, hours, disk and memory of a distillation, before it runs.

Memory is measured on torch's meta device, as in ``dmm train --check``. Hours are floating-point
operations divided by the speed of a ResNet block of the student's width on this machine: an
estimate within about a factor of two.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..fitting.compute import Compute
from ..generation.loading import Lora
from ..training.forecast.memory.estimate import installed_gpu_bytes
from .part_forecast import BACK, PartForecast, part_forecast
from .parts import Sources, open_teacher
from .presets import Preset


@dataclass(frozen=True)
class Forecast:
    """Forecasts of all parts, and the resources of this machine."""

    parts: tuple[PartForecast, ...]
    device: str
    free_disk: int
    room: int
    """Bytes of GPU memory, or of free main memory."""

    @property
    def disk(self) -> int:
        """Bytes of all parts."""
        return sum(part.disk for part in self.parts)

    @property
    def memory(self) -> int:
        """Peak bytes of all parts."""
        return max(part.memory for part in self.parts)

    @property
    def fits(self) -> bool:
        """Whether disk and memory are enough."""
        return self.disk <= self.free_disk and self.memory <= self.room


def forecast(
    preset: Preset,
    parts: Sequence[str],
    model: Path,
    loras: Sequence[Lora],
    sources: Sources,
    out: Path,
) -> Forecast:
    """Forecast the preset's parts; errors as of the parts themselves."""
    teacher = open_teacher(model, loras, sources)
    named = [part for part in parts if getattr(preset, part) is not None]
    speed = _measured_flops_per_s(preset, sources.compute)
    found = tuple(part_forecast(preset, part, teacher, sources, speed) for part in named)
    folder = next(path for path in (out, *out.absolute().parents) if path.is_dir())
    return Forecast(
        found,
        str(sources.compute.torch_device),
        shutil.disk_usage(folder).free,
        _memory_room_bytes(sources.compute),
    )


def _measured_flops_per_s(preset: Preset, compute: Compute) -> float:
    """Floating-point operations a second of a ResNet block, forward and backward."""
    from diffusers.models.resnet import ResnetBlock2D

    width = preset.unet.sizes.channels[1] if preset.unet else 320
    groups = preset.unet.sizes.groups if preset.unet else 32
    block = ResnetBlock2D(in_channels=width, temb_channels=width, groups=groups).to(
        compute.torch_device
    )
    rows = 8 if width < 320 else 2
    x = torch.randn(rows, width, 32, 32, device=compute.torch_device)
    work = BACK * 2 * 2 * rows * 9 * width * width * 32 * 32
    taken = []
    for _ in range(4):  # the first is slow
        start = time.perf_counter()
        with compute.autocast():
            found = block(x, torch.zeros(rows, width, device=compute.torch_device))
        found.float().square().mean().backward()
        if compute.torch_device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return work / min(taken)


def _memory_room_bytes(compute: Compute) -> int:
    card = installed_gpu_bytes() if compute.torch_device.type == "cuda" else None
    return card or _available_memory_bytes()


def _available_memory_bytes() -> int:
    """Main memory for new processes in bytes; a file cache counts as available."""
    import psutil

    return psutil.virtual_memory().available
