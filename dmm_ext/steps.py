"""True optimizer steps, also after a resume, and the time that each takes.

The engine's counter restarts at 0 on a resume, and its state file is wrong from then on. Ours is
saved within each state. After a resume the engine runs only the steps that are left, and every
name, log line and metadata field gets the true number.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from dmm.files import read_json

STATE_FILE = "dmm_state.json"


class StepCounter:
    """The count of optimizer steps over the whole training."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.total: int = args.max_train_steps
        self.restored = 0
        self.since_resume = 0
        self.seconds: list[float] = []
        self._started: float | None = None
        self._current = 0

    @property
    def done(self) -> int:
        """Finished optimizer steps, those before the resume included."""
        return self.restored + self.since_resume

    @property
    def progress(self) -> float:
        """Share of the training before the current step: 0 in the first step, 1 in the last."""
        return min(1.0, self._current / max(1, self.total - 1))

    def batch_starts(self) -> None:
        """Start the clock, unless an earlier micro-batch of the same step has."""
        if self._started is None:
            self._started = time.perf_counter()
            self._current = self.done

    def step_ended(self) -> None:
        """Count an optimizer step and record its time."""
        if self._started is not None:
            self.seconds.append(time.perf_counter() - self._started)
        self._started = None
        self.since_resume += 1

    def restore(self, folder: Path, has_lora: bool = True) -> None:
        """Continue from a state's step, and set ``args`` to the steps left; SystemExit if none is.

        Without the final LoRA (``has_lora``) the last step's state is enough: a run that was killed
        before it wrote the LoRA has no step left, and ends at once.
        """
        self.restored = step_of_state(folder)
        if self.restored > self.total or (self.restored == self.total and has_lora):
            raise SystemExit(
                f"{folder}: the state is at step {self.restored} and max_train_steps is "
                f"{self.total}: nothing is left to train; raise max_train_steps"
            )
        self.args.max_train_steps = self.total - self.restored
        self.args.initial_step = 0  # the engine counts the steps that are left from zero

    def median_seconds(self) -> float | None:
        """Median seconds of a step, without saving, validation and previews; None without steps."""
        return statistics.median(self.seconds) if self.seconds else None


def step_of_state(folder: Path) -> int:
    """Number of optimizer steps before a saved state, ours or a stock one of sd-scripts."""
    if (folder / STATE_FILE).is_file():
        return read_json(folder / STATE_FILE, finite=False)["step"]
    scheduler = torch.load(folder / "scheduler.bin", weights_only=True)
    return int(scheduler["last_epoch"])
