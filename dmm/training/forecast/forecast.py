"""What a training will take before it is begun: steps, disk, GPU memory and, once measured, time.

``forecast`` gathers it and says what does not fit; ``table`` and ``as_json`` show it.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoints.architecture import Shapes
from ..facts import Facts
from ..lengths import clips_per_epoch, total_steps
from ..presets import Resolved
from ..rules.base import Finding, in_force
from .disk import Disk, disk, no_space
from .duration import Calibration, Duration, duration
from .memory.cache import measured
from .memory.estimate import (
    CUDA_OVERHEAD_BYTES,
    GB,
    MemoryEstimate,
    estimate_memory,
    gpu_bytes,
    memory_warning,
    readable_size,
)
from .memory.step import step_of

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Forecast:
    """What a training will take."""

    steps: int
    """Optimizer steps."""
    clips: int
    """Clips that go through, regularisation included."""
    epochs: float
    times: float
    """How often each training clip is seen."""
    lora_modules: int
    lora_parameters: int
    disk: Disk
    memory: MemoryEstimate
    card: int | None
    """Bytes of the GPU that it is held against; None without one."""
    calibration: Calibration | None
    duration: Duration | None
    """None until three steps have been measured."""
    findings: tuple[Finding, ...]
    """What does not fit: an error for the disk, a warning for the card."""


def forecast(
    settings: Resolved,
    facts: Facts,
    shapes: Shapes,
    out: Path,
    vram_gb: float | None = None,
    calibration: Calibration | None = None,
) -> Forecast:
    """What a training with these settings takes; ``facts.dataset`` must be known.

    It is held against the first GPU here, or against a card of ``vram_gb``. A few seconds for
    SDXL, and at once where the same step was forecast before.
    """
    data = facts.dataset
    if data is None:
        raise ValueError("a forecast needs the facts of a dataset")
    step = step_of(settings, facts, shapes)
    found, needed = measured(step), estimate_memory(settings, facts, shapes)
    space = disk(settings, facts, step, found, out)
    card = int(vram_gb * GB) if vram_gb else gpu_bytes()
    small = memory_warning(settings, facts, shapes, needed, card) if card else None
    steps = total_steps(settings, data)
    batch = in_force(settings, facts, "train_batch_size")
    clips = steps * batch * settings["gradient_accumulation_steps"]
    epochs = clips / clips_per_epoch(settings, data) if data.n_train else 0.0
    repeats = data.repeats if settings["dataset_repeats"] is None else settings["dataset_repeats"]
    return Forecast(
        steps=steps,
        clips=clips,
        epochs=epochs,
        times=epochs * repeats,
        lora_modules=found.lora_modules,
        lora_parameters=found.lora_parameters,
        disk=space,
        memory=needed,
        card=card,
        calibration=calibration,
        duration=duration(settings, facts, calibration) if calibration else None,
        findings=tuple(filter(None, (no_space(settings, space, out), small))),
    )


def as_json(found: Forecast) -> dict[str, Any]:
    """Everything, with sums, fit for JSON; bytes and seconds."""
    values = asdict(found)
    values["disk"]["total"] = found.disk.total
    values["memory"] |= {
        "allocated": found.memory.allocated,
        "cuda_assumed": CUDA_OVERHEAD_BYTES,
        "total": found.memory.total,
        "worst_phase": found.memory.worst_phase,
    }
    if found.duration:
        values["duration"]["total"] = found.duration.total
    return values


def table(found: Forecast) -> "Table":
    """A table for the terminal."""
    from rich.table import Table

    drawn = Table("", "forecast", "of which", title="what this training will take")
    for row in rows(found):
        drawn.add_row(*row)
    return drawn


def rows(found: Forecast) -> list[tuple[str, str, str]]:
    """What, how much, and of which parts."""
    space, needed = found.disk, found.memory
    lines = [
        ("steps", f"{found.steps:,}", f"{found.clips:,} clips, {found.epochs:.1f} epochs"),
        ("each training clip", f"{found.times:.1f} times", ""),
        ("LoRA", f"{found.lora_parameters / 1e6:.2f} M", f"{found.lora_modules} modules"),
        ("disk", readable_size(space.total), f"{readable_size(space.free)} are free"),
        (
            "  LoRA files",
            readable_size(space.lora_files * space.lora),
            _each(space.lora_files, space.lora),
        ),
        ("  states", readable_size(space.states * space.state), _each(space.states, space.state)),
        (
            "  previews, at most",
            readable_size(space.previews * space.preview),
            _each(space.previews, space.preview),
        ),
        _memory_row(found),
        ("  resting", readable_size(needed.resting), _resting(needed)),
        *((f"  {phase}", readable_size(size), "") for phase, size in needed.phases.items()),
        *(("  not known", "", note) for note in needed.notes),
    ]
    return lines + _time_rows(found)


def _memory_row(found: Forecast) -> tuple[str, str, str]:
    if found.card is None:
        return ("memory", readable_size(found.memory.allocated), "no GPU here to compare it with")
    overhead = readable_size(CUDA_OVERHEAD_BYTES)
    parts = f"the card has {readable_size(found.card)}; {overhead} assumed for CUDA itself"
    return ("GPU memory, about", readable_size(found.memory.total), parts)


def _time_rows(found: Forecast) -> list[tuple[str, str, str]]:
    if not (found.duration and found.calibration):
        return []
    took, speed = found.duration, found.calibration
    parts = (
        f"steps {hours(took.steps)}, validation about {hours(took.validation)}, "
        f"previews about {hours(took.previews)}"
    )
    measured_as = f"{speed.device}, {speed.peak_memory_mb} MB"
    return [
        ("a step, measured", f"{speed.seconds_per_step:.2f} s", measured_as),
        ("time", hours(took.total), parts),
    ]


def hours(seconds: float) -> str:
    """A length of time in hours and minutes, or seconds.

    >>> hours(3723.0), hours(59.0)
    ('1 h 02 min', '59 s')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _each(count: int, size: int) -> str:
    return f"{count} of {readable_size(size)}" if count else "none"


def _resting(needed: MemoryEstimate) -> str:
    parts = {
        "UNet": needed.unet,
        "text encoders": needed.text_encoders,
        "LoRA": needed.lora,
        "optimizer": needed.optimizer,
        "average": needed.average,
        "VAE": needed.vae,
    }
    return ", ".join(f"{name} {readable_size(size)}" for name, size in parts.items() if size)
