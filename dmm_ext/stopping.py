"""Why and how a training ends before its last step: ctrl-C, early stopping, collapse.

The first ctrl-C (or a cluster's SIGTERM) lets the step finish and a state be saved; the second
one ends at once. Processes that train together stop at the same step.
"""

import signal
from typing import Any

import torch

STATUSES = ("finished", "stopped", "interrupted")
"""Later ones win where processes differ."""


class Stopping:
    """How the run ends, ``finished`` unless something asks for another end.

    A signal comes at any moment, in each process at another one. What is asked for holds only once
    it is ``agreed``; until then no process acts on it alone and leaves the others waiting.
    """

    def __init__(self) -> None:
        self.status = "finished"
        self.reason: str | None = None
        self._asked: tuple[str, str | None] = ("finished", None)
        self._training = False
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Catch ctrl-C and SIGTERM from here on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._caught)

    def listen_no_more(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def training_begins(self) -> None:
        """Until here a ctrl-C ends at once, because there is nothing to save."""
        self._training = True

    def ask(self, status: str, reason: str) -> None:
        """End after the running step."""
        if STATUSES.index(status) > STATUSES.index(self._asked[0]):
            self._asked = status, reason

    def agreed(self, accelerator: Any) -> bool:
        """Whether to stop now, asked for in any process; sets ``status`` and ``reason``."""
        status, reason = self._asked
        if accelerator.num_processes > 1:
            mine = torch.tensor([STATUSES.index(status)], device=accelerator.device)
            highest = STATUSES[int(accelerator.gather(mine).max())]
            if highest != status:
                status, reason = highest, "another process stopped"
        self.status, self.reason = status, reason
        return status != "finished"

    def _caught(self, _number: int, _frame: Any) -> None:
        if not self._training or self._asked[0] == "interrupted":
            raise KeyboardInterrupt
        self.ask("interrupted", "interrupted")
