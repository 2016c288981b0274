"""Run the trainer in processes of its own, and let ctrl-C reach it gently.

The trainer finishes its step and saves a state at the first ctrl-C; this process only waits. A
SIGTERM is passed on.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..engine import engine_environment
from ..errors import EngineError

TRAINER = "dmm_ext"
POLL_S = 0.05
PATIENCE_S = 30.0
"""How long processes may go on when one of them has left: they may wait for it for ever."""

Process = subprocess.Popen[bytes]


def run_trainer(engine: Path, run: Path, processes: int = 1) -> dict[str, Any]:
    """Train as ``RUN/engine.toml`` says; returns ``outcome.json``.

    Its progress bar and messages go to standard error. EngineError, with the trainer's own reason
    where it gave one, if it failed; KeyboardInterrupt if it was interrupted.
    """
    (run / "outcome.json").unlink(missing_ok=True)
    environment = engine_environment(engine)
    started = [
        subprocess.Popen(_command(run / "engine.toml"), env=environment | place, stdout=sys.stderr)
        for place in _places(processes)
    ]
    code, interrupted = _wait(started)
    outcome = read_outcome(run)
    if outcome.get("status") == "interrupted" or (interrupted and not outcome):
        raise KeyboardInterrupt
    if code or not outcome:
        reason = outcome.get("reason") or f"ended with exit code {code}; its messages stand above"
        raise EngineError(f"{run}: training failed: {reason}")
    return outcome


def read_outcome(run: Path) -> dict[str, Any]:
    """What the trainer said at its end, empty if it could not."""
    path = run / "outcome.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _command(config: Path) -> list[str]:
    return [sys.executable, "-m", TRAINER, "--config_file", str(config)]


def _places(count: int) -> list[dict[str, str]]:
    """Variables by which processes of this machine find one another, one dictionary for each.

    Not by torchrun: it answers ctrl-C with a traceback, and ends its processes before they saved.
    """
    if count == 1:
        return [{}]
    import torch

    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    if not torch.cuda.is_available():  # accelerate must be told, and the cores be shared out
        threads = max(1, (os.cpu_count() or 1) // count)
        shared |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": str(threads)}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait(processes: Sequence[Process]) -> tuple[int, bool]:
    """The exit code, that of the first failure if there is one, and whether ctrl-C was heard."""
    interrupted = False
    with _passing_on(processes):
        while True:
            try:
                return _join(processes), interrupted
            except KeyboardInterrupt:  # the trainer heard it too
                if not interrupted:
                    print("\nfinishing the step; ctrl-C again ends at once", file=sys.stderr)
                interrupted = True


def _join(processes: Sequence[Process]) -> int:
    """Wait for all; where one has failed, the others are ended after ``PATIENCE_S``."""
    code, deadline = 0, float("inf")
    while running := [process for process in processes if process.poll() is None]:
        if not code and (code := _failure(processes)):
            deadline = time.monotonic() + PATIENCE_S
        if time.monotonic() > deadline:
            for process in running:
                process.kill()
        time.sleep(POLL_S)
    return code or _failure(processes)


def _failure(processes: Sequence[Process]) -> int:
    """The first exit code that is not 0 among processes that have ended, else 0."""
    return next((process.returncode for process in processes if process.returncode), 0)


@contextmanager
def _passing_on(processes: Sequence[Process]) -> Iterator[None]:
    def terminate(*_: object) -> None:
        for process in processes:
            process.terminate()

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread: whoever started it listens
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
