"""Disk space of a run: LoRA files, states and previews, as ``dmm_ext.training_run`` saves them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ...choices import DEFAULT_FORMAT
from ..facts import Facts
from ..lengths import total_steps
from ..presets import Resolved
from ..rules.base import Finding, said_of_those_stated
from .memory.estimate import readable_size
from .memory.optimizer import optimizer_bytes, optimizer_name
from .memory.step import BYTES, Measured, Step

SAVED = {"fp16": 2, "bf16": 2, "float": 4}
"""``save_precision`` to bytes a number; unset, a number keeps those it was trained with."""
HEADER, RECORD = 150, 800
"""Bytes that come with a tensor: its name in a LoRA file, all records of it in an optimizer's."""
TENSORS = 3
"""Of a LoRA's module: down, up, alpha."""
PROMPTS = 4
"""Captions that previews take for prompts where none are given."""


@dataclass(frozen=True)
class Disk:
    """Numbers of files in a RUN folder when it is fullest, and their bytes."""

    lora_files: int
    lora: int
    """Bytes of one."""
    states: int
    state: int
    previews: int
    preview: int
    """At most: what pictures and sounds take uncompressed, and again in TensorBoard's log."""
    free: int
    """Bytes where the RUN folder will be."""

    @property
    def total(self) -> int:
        """All bytes."""
        pairs = (
            (self.lora_files, self.lora),
            (self.states, self.state),
            (self.previews, self.preview),
        )
        return sum(count * size for count, size in pairs)


def disk(settings: Resolved, facts: Facts, step: Step, found: Measured, out: Path) -> Disk:
    """What will lie in the RUN folder ``out``, which need not exist yet."""
    steps = total_steps(settings, facts.dataset)
    validates = bool(facts.dataset and facts.dataset.n_val and settings["validate_every_n_steps"])
    itemsize = BYTES[step.lora_dtype]
    lora = lora_file_bytes(found, SAVED.get(settings["save_precision"] or "", itemsize))
    state = optimizer_bytes(optimizer_name(settings), found.lora, itemsize) or 0
    state += RECORD * sum(count for _, count in found.lora)
    average = found.lora_parameters * 4 if settings["ema_decay"] else 0
    return Disk(
        lora_files=due(steps, settings["save_every_n_steps"]) + 1 + validates,
        lora=lora,
        states=states(settings, steps),
        state=lora_file_bytes(found, itemsize) + state + average + lora * validates,
        previews=moments(steps, settings["preview_every_n_steps"], at_start=True),
        preview=preview_bytes(settings, facts),
        free=free_bytes(out),
    )


def lora_file_bytes(found: Measured, each: int) -> int:
    """A LoRA file with ``each`` bytes a number, without its metadata (kilobytes)."""
    numbers = found.lora_parameters + found.lora_modules  # each module has an alpha
    return numbers * each + found.lora_modules * TENSORS * HEADER


def states(settings: Resolved, steps: int) -> int:
    """States that lie there at once; a new one is written before an old one goes."""
    saved = moments(steps, settings["save_every_n_steps"]) or 1
    if not settings["save_state"]:
        return int(settings["save_state_on_train_end"])
    keep = settings["save_last_n_steps_state"]
    return min(saved, keep + 1) if keep else saved


def preview_bytes(settings: Resolved, facts: Facts) -> int:
    """One preview at most: grey pictures and 16-bit sound, as files and in TensorBoard's log."""
    from ...codec.mel import load_format  # brings SciPy with it

    fmt = load_format((facts.dataset.format if facts.dataset else None) or DEFAULT_FORMAT)
    clips = (len(set(settings["preview_prompts"] or ())) or PROMPTS) * settings["preview_count"]
    return clips * 2 * (fmt.n_mels * fmt.n_frames + 2 * fmt.clip_samples)


def due(steps: int, every: int | None) -> int:
    """How often something comes that is done every so many steps."""
    return steps // every if every else 0


def moments(steps: int, every: int | None, at_start: bool = False) -> int:
    """The same for what is also done at the last step, and maybe before the first.

    >>> moments(10, 4), moments(10, 5), moments(10, 5, at_start=True), moments(10, None)
    (3, 2, 3, 0)
    """
    return due(steps, every) + bool(steps % every) + at_start if every else 0


def free_bytes(folder: Path) -> int:
    """Free space where a folder lies or will be made."""
    folder = folder.absolute()
    return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free


def no_space(settings: Resolved, needed: Disk, out: Path) -> Finding | None:
    """An error if the run does not fit beside what is there."""
    if needed.total <= needed.free:
        return None
    parts = {
        f"{needed.states} states of {readable_size(needed.state)}": needed.states * needed.state,
        f"{needed.lora_files} LoRA files of {readable_size(needed.lora)}": needed.lora_files
        * needed.lora,
        f"{needed.previews} previews of at most {readable_size(needed.preview)}": needed.previews
        * needed.preview,
    }
    keys = ("save_every_n_steps", "save_last_n_steps_state", "preview_every_n_steps")
    stated = said_of_those_stated(settings, *keys)
    largest = max(parts, key=lambda words: parts[words])
    message = (
        f"{out}: the run takes {readable_size(needed.total)}, {readable_size(needed.free)} are "
        f"free; most is for {largest}; make room, or save less often"
        f"{f' ({stated})' if stated else ''}"
    )
    return Finding("no-space", "error", message)
