"""One job at a time, in a thread of its own, with progress and a way to stop it."""

import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import DmmError


class Busy(DmmError):
    """Another job is under way."""


class Cancelled(Exception):
    """Raised within a job that is to stop."""


@dataclass
class Job:
    """What is being done and how far it has come."""

    kind: Literal["clips", "song"]
    total: int
    """Of whatever it counts; ``done`` reaches it."""
    done: int | float = 0
    note: str = ""
    notes: list[str] = field(default_factory=list)
    """What the user should read afterwards."""
    state: Literal["running", "done", "cancelled", "failed"] = "running"
    _stop: threading.Event = field(default_factory=threading.Event)

    def go_on(self, done: int | float | None = None, note: str | None = None) -> None:
        """Tell how far it is; raises Cancelled if it is to stop here."""
        if self._stop.is_set():
            raise Cancelled
        self.done = self.done if done is None else done
        self.note = self.note if note is None else note

    def cancel(self) -> None:
        """Ask it to stop at its next step."""
        self._stop.set()

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        names = ("kind", "total", "done", "note", "notes", "state")
        return {name: getattr(self, name) for name in names} | {"stopping": self._stop.is_set()}


class Jobs:
    """Runs a job in the background; the last one stays to be asked about."""

    def __init__(self) -> None:
        self.last: Job | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def refuse_if_busy(self) -> None:
        """Busy while something is under way."""
        if self.last and self.last.state == "running":
            raise Busy("something else is being made; wait for it or cancel it")

    def start(self, job: Job, work: Callable[[Job], str]) -> None:
        """Begin ``work(job)``, which returns a last note; Busy while another is under way."""
        with self._lock:
            self.refuse_if_busy()
            self.last = job
            self._thread = threading.Thread(target=_run, args=(job, work), daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Stop what is under way; what is finished of it stays."""
        if self.last:
            self.last.cancel()

    def wait(self, timeout_s: float | None = None) -> None:
        """Until nothing is under way."""
        if self._thread:
            self._thread.join(timeout_s)


def _run(job: Job, work: Callable[[Job], str]) -> None:
    try:
        note, state = work(job), "done"
        job.done = job.total
    except Cancelled:
        note, state = "cancelled", "cancelled"
    except DmmError as error:
        note, state = str(error), "failed"
    except Exception as error:  # the thread's end: whatever it is, the page must hear of it
        traceback.print_exc(file=sys.stderr)
        note, state = f"{type(error).__name__}: {error}; the terminal says more", "failed"
    job.note = note
    job.state = state  # last: with it the next one may begin
