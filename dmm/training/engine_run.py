"""Run the trainer in a process of its own, and let ctrl-C reach it gently.

The trainer finishes its step and saves a state at the first ctrl-C; this process only waits. A
SIGTERM is passed on.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..engine import engine_environment
from ..errors import EngineError

TRAINER = "dmm_ext.trainer"


def run_trainer(engine: Path, run: Path, processes: int = 1) -> dict[str, Any]:
    """Train as ``RUN/engine.toml`` says; returns ``outcome.json``.

    Its progress bar and messages go to standard error. EngineError, with the trainer's own reason
    where it gave one, if it failed; KeyboardInterrupt if it was interrupted.
    """
    (run / "outcome.json").unlink(missing_ok=True)
    environment = engine_environment(engine) | (_several() if processes > 1 else {})
    code = _wait(_command(run / "engine.toml", processes), environment)
    outcome = read_outcome(run)
    if outcome.get("status") == "interrupted":
        raise KeyboardInterrupt
    if code or not outcome:
        reason = outcome.get("reason") or f"ended with exit code {code}; its messages stand above"
        raise EngineError(f"{run}: training failed: {reason}")
    return outcome


def read_outcome(run: Path) -> dict[str, Any]:
    """What the trainer said at its end, empty if it could not."""
    path = run / "outcome.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _command(config: Path, processes: int) -> list[str]:
    words = ["-m", TRAINER, "--config_file", str(config)]
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone"]
        words = [*launcher, f"--nproc_per_node={processes}", *words]
    return [sys.executable, *words]


def _several() -> dict[str, str]:
    """Without a GPU accelerate trains in several processes only if it is told to."""
    import torch

    return {} if torch.cuda.is_available() else {"ACCELERATE_USE_CPU": "true"}


def _wait(command: list[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, env=environment, stdout=sys.stderr) as process:
        with _passing_on(process):
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:  # the trainer heard it too
                    print("\nfinishing the step; ctrl-C again ends at once", file=sys.stderr)


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    except ValueError:  # not the main thread: whoever started it listens
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
