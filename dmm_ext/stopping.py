"""End a training before its last step: after ctrl-C, early stopping or mode collapse.

Once training steps have begun, the first ctrl-C (or SIGTERM) lets the current step finish and a
state be saved; the second one ends at once. Processes that train together stop at the same step.
"""

import signal
from typing import Any

import torch

STATUSES = ("finished", "stopped", "interrupted")
"""Ends in increasing priority: if several are requested, the last of them in this order holds."""


class Stopping:
    """The status with which the run ends: ``finished`` unless a process requests another one.

    Signals reach each process at another moment. So a request has an effect only in
    ``agree_on_end``, which all processes call after the same step; otherwise some would wait for
    the others forever.
    """

    def __init__(self) -> None:
        self.status = "finished"
        self.reason: str | None = None
        self._requested: tuple[str, str | None] = ("finished", None)
        self._finishes_step = False
        self._handlers: dict[int, Any] = {}

    def catch_signals(self) -> None:
        """Handle ctrl-C and SIGTERM until ``restore_signals``."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._handle_signal)

    def restore_signals(self) -> None:
        """Restore the handlers from before ``catch_signals``."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def ignore_signals(self) -> None:
        """From here on ctrl-C does nothing: the run has ended, and its outcome is being written."""
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)

    def finish_step_on_signal(self) -> None:
        """Let the first ctrl-C wait for the current step; until this call, it ends at once."""
        self._finishes_step = True

    def request(self, status: str, reason: str) -> None:
        """Request an end after the step; ignored unless its priority exceeds earlier requests'.

        ``status`` is one of ``STATUSES``.
        """
        if STATUSES.index(status) > STATUSES.index(self._requested[0]):
            self._requested = status, reason

    def agree_on_end(self, accelerator: Any) -> bool:
        """Whether any process requested an end; sets ``status`` and ``reason``.

        All processes must call it at the same step.
        """
        status, reason = self._requested
        if accelerator.num_processes > 1:
            mine = torch.tensor([STATUSES.index(status)], device=accelerator.device)
            highest = STATUSES[int(accelerator.gather(mine).max())]
            if highest != status:
                status, reason = highest, "another process stopped"
        self.status, self.reason = status, reason
        return status != "finished"

    def _handle_signal(self, _number: int, _frame: Any) -> None:
        if not self._finishes_step or self._requested[0] == "interrupted":
            raise KeyboardInterrupt
        self.request("interrupted", "interrupted")
