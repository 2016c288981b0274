"""Progress callbacks and cancellation for clip generation."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .requests import ClipRequest

OnStep = Callable[[int, int], object]
"""Called before each step with the steps done and the total; an exception in it ends sampling."""


def ignore_step(done: int, total: int) -> None:
    """No progress report."""


class Stopped(Exception):
    """The caller asked to stop between two sampling steps."""


def _print_note(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def _ignore(*_: object) -> None:
    return None


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Callbacks:
    """Functions called during generation; by default notes go to standard error, no more."""

    on_batch: Callable[[Sequence[ClipRequest]], object] = _ignore
    """Receives the clips of each batch before its first sampling step."""
    on_step: Callable[[int, int], object] = _ignore
    """Receives the number of finished steps and of all steps before each sampling step."""
    on_clip: Callable[[Path], object] = _ignore
    """Receives the FLAC path of each finished clip."""
    on_note: Callable[[str], object] = _print_note
    """Receives one line for the user, such as a truncated prompt."""
    should_stop: Callable[[], bool] = _never
    """Asked before each step; True keeps the finished clips and starts no others."""

    def before_step(self, done: int, total: int) -> None:
        """Report a sampling step; Stopped if the caller wants to stop."""
        if self.should_stop():
            raise Stopped
        self.on_step(done, total)
