"""Forecast of a training before it starts: steps, disk, GPU memory and, once measured, time.

``forecast`` computes the figures and reports what does not fit. ``as_table`` formats them for the
terminal, ``as_json`` for programs.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoints.architecture import Shapes
from ..cost import Tariff
from ..facts import DatasetFacts, Facts
from ..lengths import clips_per_epoch, total_steps
from ..rules.base import Finding, clips_per_step, uses_regularisation
from ..run_settings import RunSettings
from .disk import DiskUse, disk_error, estimate_disk
from .duration import Calibration, DurationEstimate, estimate_duration
from .memory.cache import counted_step
from .memory.estimate import (
    CUDA_OVERHEAD_BYTES,
    GB,
    MemoryEstimate,
    estimate_memory,
    installed_gpu_bytes,
    memory_warning,
    readable_size,
)
from .memory.host import HostMemory, estimate_host_memory, installed_ram_bytes, ram_warning
from .memory.step import training_step

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Forecast:
    """Steps, disk, memory and time of a training, and warnings about them."""

    steps: int
    """Optimizer steps."""
    clips: int
    """Clips that are trained on over all steps, regularisation included."""
    epochs: float
    times_seen: float
    """How often each training clip is trained on."""
    reg_times_seen: float | None
    """How often each regularisation clip is trained on; None without any."""
    lora_modules: int
    lora_parameters: int
    disk: DiskUse
    memory: MemoryEstimate
    gpu_bytes: int | None
    """Memory of the GPU that the forecast is compared with; None without one."""
    ram: HostMemory
    ram_bytes: int
    """Memory of this machine."""
    calibration: Calibration | None
    duration: DurationEstimate | None
    """None without a speed (``calibration``)."""
    findings: tuple[Finding, ...]
    """An error if the disk is too small, a warning if the GPU or the RAM is."""
    tariff: Tariff = field(default_factory=Tariff)
    """By which energy and money follow from the duration."""


def forecast(
    settings: RunSettings,
    facts: Facts,
    shapes: Shapes,
    out: Path,
    vram_gb: float | None = None,
    calibration: Calibration | None = None,
    tariff: Tariff | None = None,
) -> Forecast:
    """Forecast a training; ValueError if ``facts.dataset`` is unknown.

    Memory is compared with the first GPU here, or with one of ``vram_gb`` (GiB). Takes a
    few seconds for SDXL, and none if the memory of an equal step was counted before.
    """
    data = facts.dataset
    if data is None:
        raise ValueError("a forecast needs the facts of a dataset")
    step = training_step(settings, facts, shapes)
    counted, memory = counted_step(step), estimate_memory(settings, facts, shapes)
    disk = estimate_disk(settings, facts, step, counted, out)
    gpu = int(vram_gb * GB) if vram_gb else installed_gpu_bytes()
    too_small = memory_warning(settings, facts, shapes, memory, gpu) if gpu else None
    ram = estimate_host_memory(settings, facts, step, counted, memory, on_gpu=gpu is not None)
    installed = installed_ram_bytes()
    steps = total_steps(settings, data)
    clips = steps * clips_per_step(settings, facts)
    epochs = clips / clips_per_epoch(settings, data) if data.n_train else 0.0
    repeats = data.repeats if settings["dataset_repeats"] is None else settings["dataset_repeats"]
    return Forecast(
        steps=steps,
        clips=clips,
        epochs=epochs,
        times_seen=epochs * repeats,
        reg_times_seen=_reg_times_seen(settings, data, epochs, repeats),
        lora_modules=counted.lora_modules,
        lora_parameters=counted.lora_parameters,
        disk=disk,
        memory=memory,
        gpu_bytes=gpu,
        ram=ram,
        ram_bytes=installed,
        calibration=calibration,
        duration=estimate_duration(settings, facts, calibration) if calibration else None,
        findings=tuple(
            filter(None, (disk_error(settings, disk, out), too_small, ram_warning(ram, installed)))
        ),
        tariff=tariff or Tariff(),
    )


def _reg_times_seen(
    settings: RunSettings, data: DatasetFacts, epochs: float, repeats: int
) -> float | None:
    """How often each regularisation clip is trained on; None without any.

    An epoch uses equal numbers of regularisation and training clips.
    """
    if not uses_regularisation(settings, data):
        return None
    return epochs * max(data.reg_repeats, data.n_train * repeats / data.n_reg)


def as_json(figures: Forecast) -> dict[str, Any]:
    """Convert the forecast and its sums to JSON values, in bytes and seconds."""
    values = asdict(figures)
    values["times"] = values.pop("times_seen")
    for file in ("lora", "state", "preview"):
        values["disk"][file] = values["disk"].pop(f"{file}_bytes")
    values["disk"]["total"] = figures.disk.total
    values["memory"] |= {
        "allocated": figures.memory.allocated,
        "cuda_assumed": CUDA_OVERHEAD_BYTES,
        "total": figures.memory.total,
        "worst_phase": figures.memory.worst_phase,
    }
    values["ram"] |= {"total": figures.ram.total, "worst_phase": figures.ram.worst_phase}
    if figures.duration:
        total = figures.duration.total
        values["duration"]["total"] = total
        values["cost"] = {
            "kilowatt_hours": figures.tariff.kilowatt_hours(total),
            "money": figures.tariff.money(total),
        }
    return values


def as_table(figures: Forecast) -> "Table":
    """Format the forecast as a table for the terminal."""
    from rich.table import Table

    shown = Table("", "forecast", "of which", title="what this training will take")
    for row in table_rows(figures):
        shown.add_row(*row)
    return shown


def table_rows(figures: Forecast) -> list[tuple[str, str, str]]:
    """Rows of the table: name, amount, and the parts or the basis of the amount."""
    disk, memory = figures.disk, figures.memory
    lines = [
        ("steps", f"{figures.steps:,}", f"{figures.clips:,} clips, {figures.epochs:.1f} epochs"),
        ("each training clip", f"{figures.times_seen:.1f} times", ""),
        *_reg_row(figures),
        ("LoRA", f"{figures.lora_parameters / 1e6:.2f} M", f"{figures.lora_modules} modules"),
        ("disk", readable_size(disk.total), f"{readable_size(disk.free)} are free"),
        _files_row("  LoRA files", disk.lora_files, disk.lora_bytes),
        _files_row("  states", disk.states, disk.state_bytes),
        _files_row("  previews, at most", disk.previews, disk.preview_bytes),
        _memory_row(figures),
        ("  between steps", readable_size(memory.resting), _parts_between_steps(memory)),
        *((f"  {phase}", readable_size(size), "") for phase, size in memory.phases.items()),
        *(("  not known", "", note) for note in memory.notes),
        _ram_row(figures),
    ]
    return lines + _time_rows(figures)


def _reg_row(figures: Forecast) -> list[tuple[str, str, str]]:
    if figures.reg_times_seen is None:
        return []
    return [("each regularisation clip", f"{figures.reg_times_seen:.1f} times", "")]


def _files_row(name: str, count: int, size: int) -> tuple[str, str, str]:
    parts = f"{count} of {readable_size(size)}" if count else "none"
    return name, readable_size(count * size), parts


def _memory_row(figures: Forecast) -> tuple[str, str, str]:
    """The row of GPU memory, compared with the GPU's if there is one."""
    if figures.gpu_bytes is None:
        return ("memory", readable_size(figures.memory.allocated), "no GPU here to compare it with")
    overhead = readable_size(CUDA_OVERHEAD_BYTES)
    parts = f"the GPU has {readable_size(figures.gpu_bytes)}; {overhead} assumed for CUDA itself"
    return ("GPU memory, about", readable_size(figures.memory.total), parts)


def _ram_row(figures: Forecast) -> tuple[str, str, str]:
    """The row of RAM, compared with this machine's."""
    parts = (
        f"this machine has {readable_size(figures.ram_bytes)}; most is for "
        f"{figures.ram.worst_phase}"
    )
    return ("RAM, about", readable_size(figures.ram.total), parts)


def _time_rows(figures: Forecast) -> list[tuple[str, str, str]]:
    """Rows of a step's time, the whole time and the cost.

    Without a speed there is only a row on how to get one, if a price or watts are known.
    """
    if not (figures.duration and figures.calibration):
        missing = (
            "cost",
            "not known",
            "--calibrate times three steps; dmm bench card this machine",
        )
        return [missing] if figures.tariff.record() else []
    took, speed = figures.duration, figures.calibration
    parts = (
        f"steps {readable_time(took.steps)}, validation about {readable_time(took.validation)}, "
        f"previews about {readable_time(took.previews)}"
    )
    kind, basis = "forecast", speed.device
    if speed.measured:
        kind, basis = "measured", f"{speed.device}, {speed.peak_memory_mb} MB"
    return [
        (f"a step, {kind}", f"{speed.seconds_per_step:.2f} s", basis),
        ("time", readable_time(took.total), parts),
        *figures.tariff.rows(took.total),
    ]


def readable_time(seconds: float) -> str:
    """Format a duration: in hours and minutes, in minutes below an hour, in seconds below a minute.

    >>> readable_time(3723.0), readable_time(59.0)
    ('1 h 02 min', '59 s')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _parts_between_steps(memory: MemoryEstimate) -> str:
    """Networks and other parts in memory between steps, with sizes; empty ones are left out."""
    parts = {
        "UNet": memory.unet,
        "text encoders": memory.text_encoders,
        "LoRA": memory.lora,
        "optimizer": memory.optimizer,
        "average": memory.average,
        "VAE": memory.vae,
    }
    return ", ".join(f"{name} {readable_size(size)}" for name, size in parts.items() if size)
