"""True step numbers, also after a resume, and how long a step takes.

The engine's own counter starts again at 0 when it resumes and its state file cannot be trusted
after that. Ours is saved within each state; on resume the loop is given just the steps that are
left, and every name, log line and metadata field gets the true number.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

FILE = "dmm_state.json"


class Steps:
    """The count of optimizer steps over the whole training."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.total: int = args.max_train_steps
        self.restored = 0
        self.since = 0
        self.seconds: list[float] = []
        self._began: float | None = None
        self._current = 0

    @property
    def done(self) -> int:
        """Optimizer steps finished, those before the resume included."""
        return self.restored + self.since

    @property
    def progress(self) -> float:
        """How far the running step is on the way, 0 in the first step, 1 in the last."""
        return min(1.0, self._current / max(1, self.total - 1))

    def begin(self) -> None:
        """A batch of the coming step is about to be processed."""
        if self._began is None:
            self._began = time.perf_counter()
            self._current = self.done

    def finish(self) -> None:
        """An optimizer step is through."""
        if self._began is not None:
            self.seconds.append(time.perf_counter() - self._began)
        self._began = None
        self.since += 1

    def restore(self, folder: Path) -> None:
        """Go on behind a state; SystemExit if nothing is left to train."""
        self.restored = step_of_state(folder)
        if self.restored >= self.total:
            raise SystemExit(
                f"{folder}: the state is at step {self.restored} and max_train_steps is "
                f"{self.total}: nothing is left to train; raise max_train_steps"
            )
        self.args.max_train_steps = self.total - self.restored
        self.args.initial_step = 0  # the engine counts what is left from zero

    def median_seconds(self) -> float | None:
        """Median time of an optimizer step without saving, validation and previews."""
        return statistics.median(self.seconds) if self.seconds else None


def step_of_state(folder: Path) -> int:
    """Optimizer steps behind a saved state, ours or a stock one."""
    if (folder / FILE).is_file():
        return json.loads((folder / FILE).read_text())["step"]
    scheduler = torch.load(folder / "scheduler.bin", weights_only=True)
    return int(scheduler["last_epoch"])
