"""Map a function over jobs, in order: in several processes, or as tasks of a Ray cluster.

Jobs may be an endless iterator: they are fetched as needed, and the number of running jobs is
bounded, so memory does not grow. A job may run twice, because a lost Ray worker's job goes to
another one; so jobs write complete files under fixed names.
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
from .files import read_text

Job = TypeVar("Job")
Result = TypeVar("Result")
Ticket = TypeVar("Ticket")

IN_FLIGHT = 4
"""Jobs submitted ahead for each process, so that one long job leaves the others busy."""
RETRIES = 3
"""Times that Ray repeats a job whose worker was lost; errors of the job itself are final."""
ANSWER_S = 3.0
"""Seconds that a cluster has to accept a connection; Ray itself would try for minutes."""
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no usage statistics to Ray's developers
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else `uv run` uploads the working directory
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else lost workers are reported on standard output
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the announced future default of Ray
}
"""Environment variables that Ray reads on import; variables already set are kept."""


def map_in_order(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    processes: int,
    ray_address: str | None = None,
    on_gpu: bool = False,
) -> Iterator[Result]:
    """Yield results in the order of the jobs, computed in processes or on a Ray cluster.

    With one process or job they are computed in this process. ``ray_address`` may also be "auto",
    the cluster of RAY_ADDRESS or of this machine, or "local", which starts one here with
    ``processes`` CPUs. On a cluster, paths in jobs must be absolute and valid on all machines;
    ``on_gpu`` gives each job a GPU. Ctrl-C and errors cancel jobs that have not started; processes
    finish theirs. DmmError if a worker dies or no cluster answers.
    """
    if ray_address is not None:
        yield from _map_with_ray(function, jobs, ray_address, processes, on_gpu)
        return
    coming = iter(jobs)
    first = list(islice(coming, processes))
    coming = chain(first, coming)
    if len(first) <= 1:
        yield from map(function, coming)
    else:
        yield from _map_with_processes(function, coming, len(first))


@dataclass(frozen=True)
class Workers:
    """Number and place of workers, and the progress display."""

    processes: int
    ray_address: str | None
    """As for ``map_in_order``; None means processes."""
    progress: Progress

    @property
    def console(self) -> Console:
        """The console to print to without breaking the progress bars."""
        return self.progress.console

    def map(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield results in the order of the jobs: see ``map_in_order``."""
        return map_in_order(function, jobs, self.processes, self.ray_address)


def _in_order(
    submit: Callable[[Job], Ticket],
    wait: Callable[[Ticket], Result],
    cancel: Callable[[Ticket], object],
    jobs: Iterable[Job],
    limit: int,
) -> Iterator[Result]:
    """Yield results in order, with at most ``limit`` jobs submitted at a time."""
    pending: deque[Ticket] = deque()
    try:
        for job in jobs:
            if len(pending) >= limit:
                yield wait(pending.popleft())
            pending.append(submit(job))
        while pending:
            yield wait(pending.popleft())
    finally:
        for ticket in pending:
            cancel(ticket)


def _map_with_processes(
    function: Callable[[Job], Result], jobs: Iterable[Job], processes: int
) -> Iterator[Result]:
    """Yield results of jobs in processes of this machine."""
    context = multiprocessing.get_context("spawn")  # forking is unsafe with threaded libraries
    pool = ProcessPoolExecutor(processes, context, initializer=_follow_parent)
    submit = partial(pool.submit, function)
    try:
        yield from _in_order(submit, Future.result, Future.cancel, jobs, IN_FLIGHT * processes)
    except BrokenProcessPool as error:
        raise DmmError(
            "a worker process died, likely out of memory; run again with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Ignore Ctrl-C, which the parent handles, and exit with the parent even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    """Wait for the parent process to end, then end this one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def has_gpus(address: str, processes: int) -> bool:
    """Whether a cluster has GPUs; ``address`` as for ``map_in_order``. DmmError if none answers."""
    return _connected_ray(address, processes).cluster_resources().get("GPU", 0) >= 1


def _map_with_ray(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    address: str,
    processes: int,
    on_gpu: bool,
) -> Iterator[Result]:
    """Yield results of Ray tasks with one CPU or GPU each; the connection stays open."""
    ray = _connected_ray(address, processes)
    from ray.exceptions import RayError, RayTaskError

    def task(job: Job) -> Result:  # Ray rejects partials and builtins
        return function(job)

    def wait(ticket: Any) -> Result:
        try:
            return ray.get(ticket)
        except RayTaskError as error:
            raise error.cause from error
        except (RayError, ConnectionError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise DmmError(f"Ray at {address} lost a job for good ({reason}); run again") from error

    remote = ray.remote(max_retries=RETRIES, num_gpus=int(on_gpu))(task)
    places = int(ray.cluster_resources().get("GPU" if on_gpu else "CPU", 1))
    limit = IN_FLIGHT * max(1, places)
    yield from _in_order(remote.remote, wait, ray.cancel, jobs, limit)


def _connected_ray(address: str, processes: int) -> ModuleType:
    """The Ray module, without logging and connected; DmmError within seconds if that fails."""
    if find_spec("ray") is None:
        raise DmmError("--ray: Ray is not installed; run: pip install -e '.[ray]'")
    if address == "auto":
        address = _known_cluster_address() or address
    if address not in ("auto", "local"):
        _check_cluster_answers(address)
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    if not ray.is_initialized():
        local_settings = (
            {"num_cpus": processes, "include_dashboard": False} if address == "local" else {}
        )
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **local_settings)
        except (Exception, SystemExit) as error:  # Ray raises both without a subclass
            raise _no_cluster_error(address, str(error).strip().partition("\n")[0]) from error
    return ray


def _known_cluster_address() -> str | None:
    """The cluster address in RAY_ADDRESS, else in the file that ``ray start`` writes here.

    The file may remain after the cluster has ended.
    """
    if address := os.environ.get("RAY_ADDRESS"):
        return address
    note = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    return read_text(note).strip() if note.is_file() else None


def _check_cluster_answers(address: str) -> None:
    """DmmError if an address is malformed, or no cluster answers there."""
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
        raise _no_cluster_error(address, error.strerror or str(error)) from error


def _no_cluster_error(address: str, reason: str) -> DmmError:
    if address == "local":
        return DmmError(f"--ray local: Ray did not start ({reason}); use --jobs instead")
    return DmmError(
        f"--ray {address}: no cluster answers ({reason}); start one with `ray start --head`, "
        "or use --ray local"
    )
