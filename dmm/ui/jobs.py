"""Background jobs, one at a time, each in a thread, with progress and cancellation."""

import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import DmmError


class Busy(DmmError):
    """Another job is running."""


class Cancelled(Exception):
    """Raised inside a job that was cancelled."""


@dataclass
class Job:
    """A job and its progress."""

    kind: Literal["clips", "song"]
    total: int
    """Value of ``done`` at the end."""
    done: int | float = 0
    note: str = ""
    notes: list[str] = field(default_factory=list)
    """Lines to show the user at the end."""
    state: Literal["running", "done", "cancelled", "failed"] = "running"
    _stop: threading.Event = field(default_factory=threading.Event)

    def report(self, done: int | float | None = None, note: str | None = None) -> None:
        """Update the progress; raises Cancelled if the job was cancelled."""
        if self._stop.is_set():
            raise Cancelled
        self.done = self.done if done is None else done
        self.note = self.note if note is None else note

    def cancel(self) -> None:
        """Stop the job at its next ``report``."""
        self._stop.set()

    def as_json(self) -> dict[str, Any]:
        """The job's state for the page."""
        names = ("kind", "total", "done", "note", "notes", "state")
        return {name: getattr(self, name) for name in names} | {"stopping": self._stop.is_set()}


class Jobs:
    """Runs jobs in the background, one at a time, and keeps the last one's state."""

    def __init__(self) -> None:
        self.last: Job | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def refuse_if_busy(self) -> None:
        """Busy if a job is running."""
        if self.last and self.last.state == "running":
            raise Busy("another job is running; wait for it or cancel it")

    def start(self, job: Job, work: Callable[[Job], str]) -> None:
        """Run ``work(job)``, which returns the final note, in a thread; Busy if one is running."""
        with self._lock:
            self.refuse_if_busy()
            self.last = job
            self._thread = threading.Thread(
                target=_run_and_record_end, args=(job, work), daemon=True
            )
            self._thread.start()

    def cancel(self) -> None:
        """Cancel the running job; finished clips stay."""
        if self.last:
            self.last.cancel()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the end of the running job."""
        if self._thread:
            self._thread.join(timeout_s)


def _run_and_record_end(job: Job, work: Callable[[Job], str]) -> None:
    try:
        note, state = work(job), "done"
        job.done = job.total
    except Cancelled:
        note, state = "cancelled", "cancelled"
    except DmmError as error:
        note, state = str(error), "failed"
    except Exception as error:  # the end of the thread: the page has to show any failure
        traceback.print_exc(file=sys.stderr)
        note, state = f"{type(error).__name__}: {error}; the terminal says more", "failed"
    job.note = note
    job.state = state  # set last: from here on the next job may start
