"""Estimate the RAM of a training: loading the checkpoint, and on a CPU everything else too.

Without a GPU the RAM holds all that a GPU would. With one it holds the networks until they have
been moved there. ``benchmarks/load_memory.py`` compares the loading with real processes.
"""

from dataclasses import dataclass

from ...facts import Facts
from ...presets import RunSettings
from ...rules.base import Finding
from .estimate import GB, MemoryEstimate, readable_size
from .step import BYTES, CountedStep, TrainingStep

PROCESSES_BYTES = int(1.6 * GB)
"""Of Python with torch, diffusers and the engine in the trainer and in ``dmm train``; measured."""
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
    # The text encoders are read whole before they are converted; the VAE's tensors come with them.
    phases = {"loading": unet + text + vae + (counted.text + counted.vae) * stored}
    if settings["cache_text_encoder_outputs"]:  # the engine brings them back in single precision
        phases["caching captions"] = unet + counted.text * 4 + vae
    if on_gpu:
        return HostMemory(phases, PROCESSES_BYTES + CUDA_HOST_BYTES)
    idle_vae = vae - memory.vae
    for name, size in memory.phases.items():
        others = unet + text if name == "caching latents" else idle_vae
        phases[name] = size + others
    return HostMemory(phases, PROCESSES_BYTES)


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
