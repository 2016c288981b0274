"""States and LoRA files in a RUN folder, complete or absent: written beside, then renamed.

A state is a folder ``state/step-000500`` with everything that the next step depends on.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from dmm.files import follow_umask, whole_file
from dmm.files.parts import remove_left_behind
from dmm.training.runs import folders_by_step

from .steps import STATE_FILE

PART = ".part-"
"""Prefix of a state's name while it is being written."""
FULL_BELOW_BYTES = 2**20
"""A disk with less free space counts as full."""


class RunFiles:
    """Paths, saving and deletion of a run's states and LoRA files."""

    def __init__(self, folder: Path, name: str, keep: int | None) -> None:
        """``name`` is the LoRA's; ``keep`` is the number of states to keep, None for all."""
        self.folder, self.name, self.keep = folder, name, keep
        self.states = folder / "state"
        self.best = folder / "best.safetensors"
        self._written_state: tuple[Path, Path] | None = None
        """Part and final path of a state that ``publish_state`` is to rename."""

    @property
    def final_lora_path(self) -> Path:
        """Path of the LoRA that a finished run leaves."""
        return self.folder / f"{self.name}.safetensors"

    def remove_partial_files(self) -> None:
        """Delete states and LoRA files that a killed process left half-written."""
        for state in self.states.glob(f"{PART}*"):
            shutil.rmtree(state)
        remove_left_behind(self.folder)

    def write_state(
        self, accelerator: Any, step: int, record: dict[str, Any], extra: Callable[[Path], None]
    ) -> None:
        """Write a state under a part name, for ``publish_state``; every process takes part.

        ``record`` goes into ``dmm_state.json`` with the size of every file. ``extra`` adds its own
        files to the folder.
        """
        final = self.states / f"step-{step:06d}"
        partial = self.states / f"{PART}{final.name}"
        with removed_on_failure(partial), one_line_saving_errors(final, "the state"):
            accelerator.save_state(str(partial))
            accelerator.wait_for_everyone()  # each process has a file of its own
            if accelerator.is_main_process:
                extra(partial)
                if self.best.is_file():
                    shutil.copyfile(self.best, partial / self.best.name)
                files = {path.name: path.stat().st_size for path in partial.iterdir()}
                (partial / STATE_FILE).write_text(json.dumps({**record, "files": files}))
                follow_umask(partial)
                self._written_state = partial, final
        accelerator.wait_for_everyone()

    def publish_state(self) -> None:
        """Give the written state, if there is one, its final name; delete all but the newest."""
        if self._written_state is None:
            return
        partial, final = self._written_state
        self._written_state = None
        with removed_on_failure(partial), one_line_saving_errors(final, "the state"):
            if final.exists():
                shutil.rmtree(final)
            partial.rename(final)
            delete_all_but_newest(self.states, self.keep)

    def restore_best_weights(self, state: Path) -> None:
        """Replace the best weights by those in a state; without any there, delete them."""
        self.best.unlink(missing_ok=True)
        if (state / self.best.name).is_file():
            shutil.copyfile(state / self.best.name, self.best)

    def lora_path_of_step(self, step: int) -> Path:
        """Path of the LoRA that is saved at one step."""
        return self.folder / f"{self.name}-step{step:06d}.safetensors"


@contextmanager
def whole_lora_file(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it takes the final name if the block succeeds."""
    with whole_file(path) as partial, one_line_saving_errors(path, "the LoRA"):
        yield partial


@contextmanager
def removed_on_failure(partial: Path) -> Iterator[None]:
    """Delete a half-written state if the block fails."""
    try:
        yield
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def one_line_saving_errors(path: Path, what: str) -> Iterator[None]:
    """Turn an error while writing, whichever library raises it, into SystemExit with one line."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise SystemExit(
            f"{path}: {what} cannot be saved ({_save_failure_reason(error, path)}); earlier states "
            "are intact: make room and continue with --resume"
        ) from error


def _save_failure_reason(error: Exception, path: Path) -> str:
    """First line of an error; torch reports a full disk only as "unexpected pos"."""
    place = next(folder for folder in path.parents if folder.is_dir())
    if not isinstance(error, OSError) and shutil.disk_usage(place).free < FULL_BELOW_BYTES:
        return "the disk is full"
    return (str(error).splitlines() or ["no reason given"])[0]


def delete_all_but_newest(folder: Path, count: int | None) -> None:
    """Delete all but the newest ``count`` states; None keeps all."""
    for old in folders_by_step(folder)[:-count] if count else []:
        shutil.rmtree(old)
