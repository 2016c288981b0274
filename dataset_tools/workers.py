"""Map a function over jobs in several processes, in order, and end cleanly when interrupted."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from dmm.errors import DmmError

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Job], Result], jobs: Sequence[Job], processes: int
) -> Iterator[Result]:
    """Yield results in the order of the jobs; one process means this one.

    Ctrl-C or an error drops the jobs that have not begun and lets the others finish.
    """
    processes = min(processes, len(jobs))
    if processes <= 1:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")  # forking is unsafe with threaded libraries
    pool = ProcessPoolExecutor(processes, context, initializer=_follow_parent)
    try:
        yield from pool.map(function, jobs)
    except BrokenProcessPool as error:
        raise DmmError(
            "a worker process died, likely for lack of memory; run again with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
