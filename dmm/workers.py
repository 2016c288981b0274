"""Map a function over jobs, in order: in several processes, or as tasks of a Ray cluster.

Jobs may be endless and are asked for as they are handed out; what is under way at a time is
bounded, so memory does not grow with their number. Jobs must bear being done twice (they write
whole files under fixed names): a lost Ray worker's job goes to another one.
"""

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import Progress

from .errors import DmmError

Job = TypeVar("Job")
Result = TypeVar("Result")
Ticket = TypeVar("Ticket")

IN_FLIGHT = 4
"""Jobs handed out for each process: one long job does not soon leave the others idle."""
RETRIES = 3
"""How often Ray gives a job to another worker after losing one; the job's own errors count once."""
ANSWER_S = 3.0
"""How long a cluster may take to accept a connection; Ray itself would try for minutes."""
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # sends nothing to Ray's makers
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # or `uv run` would upload the working directory
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # or every lost worker is told of, on standard output
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray announces as its future default
}
"""Environment variables that Ray reads when it is imported; those that are set are kept."""


def map_in_order(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    processes: int,
    ray: str | None = None,
) -> Iterator[Result]:
    """Yield results in the order of the jobs; one process means this one.

    ``ray`` is the address of a cluster, "auto" for the one that RAY_ADDRESS names or that runs on
    this machine, or "local" to start one here with so many ``processes``. There, jobs' paths must
    be absolute and mean the same on all machines. Ctrl-C or an error drops the jobs that have not
    begun; processes finish theirs. DmmError if a worker dies, or a cluster does not answer.
    """
    if ray is not None:
        yield from _by_ray(function, jobs, ray, processes)
        return
    coming = iter(jobs)
    first = list(islice(coming, processes))
    coming = chain(first, coming)
    if len(first) <= 1:
        yield from map(function, coming)
    else:
        yield from _by_processes(function, coming, len(first))


@dataclass(frozen=True)
class Workers:
    """Who does the work, and where the user is told of it."""

    processes: int
    ray: str | None
    """Address of a cluster, as ``map_in_order`` takes it."""
    progress: Progress

    @property
    def console(self) -> Console:
        """Lines printed here do not tear the progress bars."""
        return self.progress.console

    def map(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield results in the order of the jobs: see ``map_in_order``."""
        return map_in_order(function, jobs, self.processes, self.ray)


def _in_order(
    submit: Callable[[Job], Ticket],
    wait: Callable[[Ticket], Result],
    cancel: Callable[[Ticket], object],
    jobs: Iterable[Job],
    limit: int,
) -> Iterator[Result]:
    """Hand out at most ``limit`` jobs ahead of the result that comes next."""
    under_way: deque[Ticket] = deque()
    try:
        for job in jobs:
            if len(under_way) >= limit:
                yield wait(under_way.popleft())
            under_way.append(submit(job))
        while under_way:
            yield wait(under_way.popleft())
    finally:
        for ticket in under_way:
            cancel(ticket)


def _by_processes(
    function: Callable[[Job], Result], jobs: Iterable[Job], processes: int
) -> Iterator[Result]:
    context = multiprocessing.get_context("spawn")  # forking is unsafe with threaded libraries
    pool = ProcessPoolExecutor(processes, context, initializer=_follow_parent)
    submit = partial(pool.submit, function)
    try:
        yield from _in_order(submit, Future.result, Future.cancel, jobs, IN_FLIGHT * processes)
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


def _by_ray(
    function: Callable[[Job], Result], jobs: Iterable[Job], address: str, processes: int
) -> Iterator[Result]:
    """Results of Ray tasks, one processor each; the connection stays for the next call."""
    ray = _connected_ray(address, processes)
    from ray.exceptions import RayError, RayTaskError

    def task(job: Job) -> Result:  # Ray takes no partial or builtin as it is
        return function(job)

    def wait(ticket: Any) -> Result:
        try:
            return ray.get(ticket)
        except RayTaskError as error:
            raise error.cause from error
        except (RayError, ConnectionError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise DmmError(f"Ray at {address} lost a job for good ({reason}); run again") from error

    remote = ray.remote(max_retries=RETRIES)(task)
    limit = IN_FLIGHT * max(1, int(ray.cluster_resources().get("CPU", 1)))
    yield from _in_order(remote.remote, wait, ray.cancel, jobs, limit)


def _connected_ray(address: str, processes: int) -> ModuleType:
    """Ray, quiet and connected, or DmmError within seconds."""
    if find_spec("ray") is None:
        raise DmmError("--ray: Ray is not installed; run: pip install -e '.[ray]'")
    if address == "auto":
        address = _running_here() or address
    if address not in ("auto", "local"):
        _check_answer(address)
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    if not ray.is_initialized():
        own = {"num_cpus": processes, "include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (Exception, SystemExit) as error:  # it raises both bare
            raise _no_cluster(address, str(error).strip().partition("\n")[0]) from error
    return ray


def _running_here() -> str | None:
    """The address of the cluster that is set or was last started here, as ``ray start`` notes it.

    It may have ended without removing its note.
    """
    if address := os.environ.get("RAY_ADDRESS"):
        return address
    note = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    return note.read_text("utf-8").strip() if note.is_file() else None


def _check_answer(address: str) -> None:
    try:
        parts = urlsplit(address if "://" in address else f"ray://{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise DmmError(f'--ray {address}: no address; use "local", "auto" or ray://HOST:PORT')
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError as error:
        raise _no_cluster(address, error.strerror or str(error)) from error


def _no_cluster(address: str, reason: str) -> DmmError:
    if address == "local":
        return DmmError(f"--ray local: Ray did not start ({reason}); use --jobs instead")
    return DmmError(
        f"--ray {address}: no cluster answers ({reason}); start one with `ray start --head`, "
        "or use --ray local"
    )
