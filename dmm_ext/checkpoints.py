"""States and LoRA files that are whole or absent: written beside, then renamed.

A state is a folder ``state/step-000500`` with all that the next step depends on.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from .steps import FILE

PART = ".part-"
"""How the name of a state begins while it is being written."""
ALMOST_NOTHING = 2**20
"""Bytes that are left free on a disk that is full."""


class Checkpoints:
    """The RUN folder's states and LoRA files."""

    def __init__(self, run: Path, name: str, keep: int | None) -> None:
        self.run, self.name, self.keep = run, name, keep
        self.states = run / "state"
        self.best = run / "best.safetensors"

    def sweep(self) -> None:
        """Delete what a killed process left half-written."""
        for old in [*self.states.glob(f"{PART}*"), *self.run.glob(f"{PART}*")]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()

    def save_state(
        self, accelerator: Any, step: int, facts: dict[str, Any], extra: Callable[[Path], None]
    ) -> None:
        """Save a state and drop all but the newest ``keep``; every process takes part.

        ``facts`` go into ``dmm_state.json``, with the size of every file; ``extra`` adds files of
        its own.
        """
        final = self.states / f"step-{step:06d}"
        partial = self.states / f"{PART}{final.name}"
        with removed_on_failure(partial), one_line(final, "the state"):
            accelerator.save_state(str(partial))
            accelerator.wait_for_everyone()  # each process has a file of its own
            if accelerator.is_main_process:
                extra(partial)
                if self.best.is_file():
                    shutil.copyfile(self.best, partial / self.best.name)
                files = {path.name: path.stat().st_size for path in partial.iterdir()}
                (partial / FILE).write_text(json.dumps({**facts, "files": files}))
                if final.exists():
                    shutil.rmtree(final)
                partial.rename(final)
                keep_newest(self.states, self.keep)
        accelerator.wait_for_everyone()

    def take_back(self, state: Path) -> None:
        """After a resume the best weights so far are those that the state knew."""
        self.best.unlink(missing_ok=True)
        if (state / self.best.name).is_file():
            shutil.copyfile(state / self.best.name, self.best)

    def step_file(self, step: int) -> Path:
        """Where the LoRA of one step is kept."""
        return self.run / f"{self.name}-step{step:06d}.safetensors"


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a LoRA beside its place; it takes the name when it is complete."""
    partial = path.with_name(f"{PART}{path.name}")
    with removed_on_failure(partial), one_line(path, "the LoRA"):
        yield partial
        os.replace(partial, path)


@contextmanager
def removed_on_failure(partial: Path) -> Iterator[None]:
    """Leave nothing half-written behind."""
    try:
        yield
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def one_line(path: Path, what: str) -> Iterator[None]:
    """Tell a failure to write in one line, whichever library it comes from."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise SystemExit(
            f"{path}: {what} cannot be saved ({_reason(error, path)}); states before it are "
            "whole: make room and go on with --resume"
        ) from error


def _reason(error: Exception, path: Path) -> str:
    """The first line of an error; of a full disk torch says no more than "unexpected pos"."""
    place = next(folder for folder in path.parents if folder.is_dir())
    if not isinstance(error, OSError) and shutil.disk_usage(place).free < ALMOST_NOTHING:
        return "the disk is full"
    return (str(error).splitlines() or ["no reason given"])[0]


def keep_newest(folder: Path, count: int | None) -> None:
    """Delete all but the newest ``count`` states; None keeps all."""
    for old in sorted(folder.glob("step-*"))[: -count or None] if count else []:
        shutil.rmtree(old)
