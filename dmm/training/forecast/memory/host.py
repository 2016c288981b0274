"""Estimate the RAM of a training: loading the checkpoint, and on a CPU everything else too.

Without a GPU the RAM holds all that a GPU would. With one it holds the networks until they have
been moved there. ``benchmarks/load_memory.py`` compares the loading with real processes.
"""

from dataclasses import dataclass

from ....checkpoints.sd15_shapes import Sd15Shapes
from ...facts import Facts
from ...rules.base import Finding
from ...run_settings import RunSettings
from .estimate import GB, MemoryEstimate, readable_size
from .step import BYTES, CountedStep, TrainingStep

PROCESSES_BYTES = int(2.1 * GB)
"""Of Python with torch, diffusers and the engine in the trainer and in ``dmm train``; measured.

With it four trainings at full size without a GPU peaked at .91 to 1.02 of their forecasts.
"""
CUDA_HOST_BYTES = int(2.5 * GB)
"""What CUDA and its libraries take of RAM: assumed, not measured."""


@dataclass(frozen=True)
class HostMemory:
    """RAM of a training: bytes of the processes, and bytes on top at the peak of each phase."""

    phases: dict[str, int]
    """Bytes at the peak of each phase, without ``processes``."""
    processes: int
    """Bytes of the processes before anything is loaded."""

    @property
    def worst_phase(self) -> str:
        """The phase with the highest peak."""
        return max(self.phases, key=lambda name: self.phases[name])

    @property
    def total(self) -> int:
        """Bytes at the highest peak, those of the processes included."""
        return self.processes + self.phases[self.worst_phase]


def estimate_host_memory(
    settings: RunSettings,
    facts: Facts,
    step: TrainingStep,
    counted: CountedStep,
    memory: MemoryEstimate,
    on_gpu: bool,
) -> HostMemory:
    """Estimate the RAM; ``memory`` is the estimate for the device that trains."""
    stored = (facts.base.weight_bytes if facts.base else None) or 2
    unet = counted.unet * (stored if "float8" in step.unet_dtype else BYTES[step.unet_dtype])
    text, vae = counted.text * BYTES[step.compute], counted.vae * 4
    phases = {"loading": _loading_bytes(step, counted, stored, unet + text + vae)}
    # The engine brings text encoders back in single precision once it has cached their outputs.
    cached_text = counted.text * 4 if settings["cache_text_encoder_outputs"] else 0
    if cached_text:
        phases["caching captions"] = unet + cached_text + vae
    if on_gpu:
        return HostMemory(phases, PROCESSES_BYTES + CUDA_HOST_BYTES)
    idle = vae - memory.vae + cached_text
    for name, size in memory.phases.items():
        phases[name] = size + (unet + text if name == "caching latents" else idle)
    return HostMemory(phases, PROCESSES_BYTES)


def _loading_bytes(step: TrainingStep, counted: CountedStep, stored: int, loaded: int) -> int:
    """Bytes at the peak of loading, after which the networks take ``loaded`` bytes."""
    if isinstance(step.shapes, Sd15Shapes):  # by the engine: the file, and all in single precision
        return (counted.unet + counted.text + counted.vae) * (stored + 4)
    # The text encoders are read whole before they are converted; the VAE's tensors come with them.
    return loaded + (counted.text + counted.vae) * stored


def installed_ram_bytes() -> int:
    """RAM of this machine."""
    import psutil

    return psutil.virtual_memory().total


def ram_warning(needed: HostMemory, ram_bytes: int) -> Finding | None:
    """A warning if a machine with ``ram_bytes`` has too little; else None."""
    if needed.total <= ram_bytes:
        return None
    message = (
        f"training takes about {readable_size(needed.total)} of RAM at its peak "
        f"({needed.worst_phase}) and this machine has {readable_size(ram_bytes)}: add swap, or use "
        "mixed_precision = bf16, smaller images or a smaller base"
    )
    return Finding("too-little-ram", "warning", message)
