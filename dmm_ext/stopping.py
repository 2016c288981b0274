"""Ends of a training before its last step: ctrl-C, early stopping, mode collapse.

The first ctrl-C (or a cluster's SIGTERM) lets the current step finish and a state be saved; the
second one ends at once. Processes that train together stop at the same step.
"""

import signal
from typing import Any

import torch

STATUSES = ("finished", "stopped", "interrupted")
"""If processes differ, the later one in this list wins."""


class Stopping:
    """How the run ends: ``finished`` unless another end was requested.

    A signal comes at any moment, and at another moment in each process. So a request counts only
    after ``agree``: no process acts on one alone, which would leave the others waiting.
    """

    def __init__(self) -> None:
        self.status = "finished"
        self.reason: str | None = None
        self._requested: tuple[str, str | None] = ("finished", None)
        self._finishes_step = False
        self._handlers: dict[int, Any] = {}

    def catch_signals(self) -> None:
        """Handle ctrl-C and SIGTERM from here on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._caught)

    def restore_signals(self) -> None:
        """Restore the handlers from before ``catch_signals``."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def finish_step_on_signal(self) -> None:
        """From here on ctrl-C waits for the step; before, there is nothing to save."""
        self._finishes_step = True

    def request(self, status: str, reason: str) -> None:
        """Ask for an end after the current step."""
        if STATUSES.index(status) > STATUSES.index(self._requested[0]):
            self._requested = status, reason

    def agree(self, accelerator: Any) -> bool:
        """Whether any process requested an end; sets ``status`` and ``reason`` in all of them."""
        status, reason = self._requested
        if accelerator.num_processes > 1:
            mine = torch.tensor([STATUSES.index(status)], device=accelerator.device)
            highest = STATUSES[int(accelerator.gather(mine).max())]
            if highest != status:
                status, reason = highest, "another process stopped"
        self.status, self.reason = status, reason
        return status != "finished"

    def _caught(self, _number: int, _frame: Any) -> None:
        if not self._finishes_step or self._requested[0] == "interrupted":
            raise KeyboardInterrupt
        self.request("interrupted", "interrupted")
