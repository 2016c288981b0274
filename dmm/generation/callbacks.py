"""What a caller may see of clips in the making, and how it may end it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class Stopped(Exception):
    """The caller asked for an end between two steps."""


def _tell(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def _ignore(*_: object) -> None:
    return None


@dataclass(frozen=True)
class Watch:
    """Functions that are called along the way; by default notes go to standard error."""

    on_clip: Callable[[Path], object] = _ignore
    """With the sound of every clip that is made, once it is whole."""
    on_step: Callable[[int, int], object] = _ignore
    """With the steps taken and all there are, of the clips under way, before each step."""
    on_note: Callable[[str], object] = _tell
    """With a line that the user should read."""
    should_stop: Callable[[], bool] = bool
    """Asked before every step; if it says yes, clips that are whole stay and no more are made."""
