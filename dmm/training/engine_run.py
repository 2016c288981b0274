"""Run the trainer in processes of its own; ctrl-C lets it finish its step and save a state.

At the first ctrl-C the trainer finishes its step, while this process only waits. A SIGTERM is
forwarded to the trainer. If this process is killed, the trainer notices that the pipe to its
standard input is closed, and ends as after a SIGTERM.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..engine import engine_environment
from ..errors import EngineError
from ..files import read_json
from .runs import ENDED

TRAINER = "dmm_ext"
PARENT_PIPE = "DMM_PARENT_PIPE"
"""Environment variable that tells the trainer to watch its standard input."""
POLL_S = 0.05
GRACE_S = 30.0
"""Time after one process has failed until the others, which may wait for it, are killed."""

Process = subprocess.Popen[bytes]


def run_trainer(
    engine: Path,
    run: Path,
    processes: int = 1,
    on_start: Callable[..., object] = lambda *_: None,
) -> dict[str, Any]:
    """Train as configured in ``RUN/engine.toml``; returns the contents of ``outcome.json``.

    ``on_start`` receives the ids of the trainer's processes. The progress bar and messages go
    to standard error. EngineError if the training failed, with the trainer's reason if it left one;
    KeyboardInterrupt if it was interrupted.
    """
    (run / "outcome.json").unlink(missing_ok=True)
    environment = engine_environment(engine) | {PARENT_PIPE: "1"}
    command = _trainer_command(run / "engine.toml")
    started: list[Process] = []
    try:
        with _forwarded_sigterm(started) as (add, was_terminated):
            for variables in _process_variables(processes):
                own = environment | variables
                add(subprocess.Popen(command, env=own, stdin=subprocess.PIPE, stdout=sys.stderr))
            on_start(*(process.pid for process in started))
            code, interrupted = _wait_through_ctrl_c(started)
    finally:
        for process in started:
            if process.stdin:
                process.stdin.close()
    interrupted |= code == -signal.SIGINT or (code == -signal.SIGTERM and was_terminated())
    outcome = read_outcome(run)
    if interrupted and outcome.get("status") in ENDED:  # ctrl-C came after the end
        return outcome
    if outcome.get("status") == "interrupted" or (interrupted and not outcome):
        raise KeyboardInterrupt
    if code or not outcome:
        reason = outcome.get("reason") or f"ended with exit code {code}; see its messages above"
        raise EngineError(f"{run}: training failed: {reason}")
    return outcome


def read_outcome(run: Path) -> dict[str, Any]:
    """The trainer's ``outcome.json``; empty if it wrote none."""
    path = run / "outcome.json"
    return read_json(path, finite=False) if path.is_file() else {}


def _trainer_command(config: Path) -> list[str]:
    return [sys.executable, "-m", TRAINER, "--config_file", str(config)]


def _process_variables(count: int) -> list[dict[str, str]]:
    """Environment variables by which the processes of one machine find one another, for each.

    Not by torchrun, which prints a traceback at ctrl-C and kills its processes before they save.
    """
    if count == 1:
        return [{}]
    import torch

    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    if not torch.cuda.is_available():  # accelerate cannot detect this; the cores are shared out
        threads = max(1, (os.cpu_count() or 1) // count)
        shared |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": str(threads)}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_through_ctrl_c(processes: Sequence[Process]) -> tuple[int, bool]:
    """Wait for all; returns a failed one's exit code, else 0, and whether ctrl-C was pressed."""
    interrupted = False
    while True:
        try:
            return _wait_for_all(processes), interrupted
        except KeyboardInterrupt:  # the trainer receives it too
            if not interrupted:
                print("\nfinishing the step; ctrl-C again ends at once", file=sys.stderr)
            interrupted = True


def _wait_for_all(processes: Sequence[Process]) -> int:
    """Wait for all, and return a failed one's exit code, else 0.

    ``GRACE_S`` after one has failed, the others are killed.
    """
    code, deadline = 0, float("inf")
    while running := [process for process in processes if process.poll() is None]:
        if not code and (code := _first_failure(processes)):
            deadline = time.monotonic() + GRACE_S
        if time.monotonic() > deadline:
            for process in running:
                process.kill()
        time.sleep(POLL_S)
    return code or _first_failure(processes)


def _first_failure(processes: Sequence[Process]) -> int:
    """Exit code of the first process in the list that has failed, else 0."""
    return next((process.returncode for process in processes if process.returncode), 0)


@contextmanager
def _forwarded_sigterm(
    processes: list[Process],
) -> Iterator[tuple[Callable[[Process], None], Callable[[], bool]]]:
    """Forward SIGTERM to ``processes`` within the block.

    Yields a function that appends a process, and one that says whether the signal came. A process
    that was started while the signal arrived receives it too. Outside the main thread nothing is
    forwarded.
    """
    received = False

    def terminate(*_: object) -> None:
        nonlocal received
        received = True
        for process in processes:
            process.terminate()

    def add(process: Process) -> None:
        processes.append(process)
        if received:
            process.terminate()

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread: its caller handles signals
        yield add, lambda: False
        return
    try:
        yield add, lambda: received
    finally:
        signal.signal(signal.SIGTERM, before)
