"""Forecast the disk space of a run: LoRA files, states and previews, in a RUN folder."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from ...checkpoints.architecture import Shapes
from ...choices import DEFAULT_FORMAT
from ...errors import DmmError
from ...files.parts import size_of
from ..facts import Facts
from ..lengths import total_steps
from ..rules.base import Finding
from ..rules.optimizer import optimizer_name
from ..run_settings import RunSettings
from ..trainer_constants import PROMPTS_FROM_CAPTIONS
from .memory.cache import counted_step
from .memory.estimate import readable_size
from .memory.optimizer import optimizer_bytes
from .memory.step import BYTES, CountedStep, TrainingStep, training_step

SAVED_BYTES = {"fp16": 2, "bf16": 2, "float": 4}
"""Bytes per number by ``save_precision``; unset, a number keeps its precision in training."""
HEADER_BYTES, RECORD_BYTES = 150, 800
"""Bytes per tensor: its header in a LoRA file, all its records in an optimizer's file."""
TENSORS_PER_MODULE = 3
"""Of a LoRA: down, up, alpha."""


@dataclass(frozen=True)
class DiskUse:
    """Numbers and sizes of the files in a RUN folder when it holds the most."""

    lora_files: int
    lora_bytes: int
    """Size of one LoRA file."""
    states: int
    state_bytes: int
    """Size of one state."""
    previews: int
    preview_bytes: int
    """Largest size of one preview: uncompressed images and audio, and both in TensorBoard's log."""
    free: int
    """Free bytes where the RUN folder is or will be."""

    @property
    def total(self) -> int:
        """Size of all files."""
        pairs = (
            (self.lora_files, self.lora_bytes),
            (self.states, self.state_bytes),
            (self.previews, self.preview_bytes),
        )
        return sum(count * size for count, size in pairs)


def estimate_disk(
    settings: RunSettings, facts: Facts, step: TrainingStep, counted: CountedStep, out: Path
) -> DiskUse:
    """Forecast the files of the RUN folder ``out``, which need not exist yet."""
    steps = total_steps(settings, facts.dataset)
    validates = bool(facts.dataset and facts.dataset.n_val and settings["validate_every_n_steps"])
    itemsize = BYTES[step.lora_dtype]
    lora = lora_file_bytes(counted, SAVED_BYTES.get(settings["save_precision"] or "", itemsize))
    state = optimizer_bytes(optimizer_name(settings), counted.lora, itemsize) or 0
    state += RECORD_BYTES * sum(count for _, count in counted.lora)
    average = counted.lora_parameters * 4 if settings["ema_decay"] else 0
    return DiskUse(
        lora_files=times_due(steps, settings["save_every_n_steps"]) + 1 + validates,
        lora_bytes=lora,
        states=max_states(settings, steps),
        state_bytes=lora_file_bytes(counted, itemsize) + state + average + lora * validates,
        previews=times_due_or_last(steps, settings["preview_every_n_steps"], at_start=True),
        preview_bytes=bytes_per_preview(settings, facts),
        free=free_bytes(out),
    )


def lora_file_bytes(counted: CountedStep, itemsize: int) -> int:
    """Size of a LoRA file at ``itemsize`` bytes per number, without metadata (a few kilobytes)."""
    numbers = counted.lora_parameters + counted.lora_modules  # each module has an alpha
    return numbers * itemsize + counted.lora_modules * TENSORS_PER_MODULE * HEADER_BYTES


def max_states(settings: RunSettings, steps: int) -> int:
    """Largest number of states on disk: a new one is written before an old one is deleted."""
    saved = times_due_or_last(steps, settings["save_every_n_steps"]) or 1
    if not settings["save_state"]:
        return int(settings["save_state_on_train_end"])
    keep = settings["save_last_n_steps_state"]
    return min(saved, keep + 1) if keep else saved


def clips_per_preview(settings: RunSettings) -> int:
    """Number of clips in one preview."""
    prompts = len(set(settings["preview_prompts"] or ())) or PROMPTS_FROM_CAPTIONS
    return prompts * settings["preview_count"]


def bytes_per_preview(settings: RunSettings, facts: Facts) -> int:
    """Largest size of one preview: grey images and 16-bit audio, in files and in TensorBoard."""
    from ...codec.mel import load_format  # imports SciPy

    fmt = load_format((facts.dataset.format if facts.dataset else None) or DEFAULT_FORMAT)
    return clips_per_preview(settings) * 2 * (fmt.n_mels * fmt.n_frames + 2 * fmt.clip_samples)


def times_due(steps: int, interval: int | None) -> int:
    """Number of multiples of ``interval`` in steps 1 to ``steps``; 0 without an interval."""
    return steps // interval if interval else 0


def times_due_or_last(steps: int, interval: int | None, at_start: bool = False) -> int:
    """``times_due`` plus one for a last step that is not due, and one more with ``at_start``.

    0 without an interval.

    >>> due = times_due_or_last
    >>> due(10, 4), due(10, 5), due(10, 5, at_start=True), due(10, None)
    (3, 2, 3, 0)
    """
    return times_due(steps, interval) + bool(steps % interval) + at_start if interval else 0


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk where a folder is or will be."""
    folder = folder.absolute()
    return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free


def refuse_full_disk(settings: RunSettings, facts: Facts, shapes: Shapes, out: Path) -> None:
    """DmmError if a run does not fit on its disk; files in its RUN folder count as free space.

    The forecast is that of ``--check``; it takes seconds for a base that was not counted before.
    """
    step = training_step(settings, facts, shapes)
    needed = estimate_disk(settings, facts, step, counted_step(step), out)
    if out.is_dir():
        needed = replace(needed, free=needed.free + size_of(out))
    if finding := disk_error(settings, needed, out):
        raise DmmError(finding.message)


def disk_error(settings: RunSettings, needed: DiskUse, out: Path) -> Finding | None:
    """An error that names the largest part if the run does not fit on the disk; otherwise None."""
    if needed.total <= needed.free:
        return None
    parts = (
        (needed.states, needed.state_bytes, "states of"),
        (needed.lora_files, needed.lora_bytes, "LoRA files of"),
        (needed.previews, needed.preview_bytes, "previews of at most"),
    )
    keys = ("save_every_n_steps", "save_last_n_steps_state", "preview_every_n_steps")
    stated = settings.quote_stated(*keys)
    count, size, kind = max(parts, key=lambda part: part[0] * part[1])
    message = (
        f"{out}: the run takes {readable_size(needed.total)}, {readable_size(needed.free)} are "
        f"free; most is for {count} {kind} {readable_size(size)}; make room, or save less often"
        f"{f' ({stated})' if stated else ''}"
    )
    return Finding("no-space", "error", message)
