"""Run the stages of a long benchmark, each in a process of its own, and continue where it stopped.

Results are lines of ``stages.jsonl`` in the work folder: a stage that has one is not run again. A
stage is ended, and left for later, when the machine's free memory falls below a limit.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from dmm.files import read_jsonl

RESULTS = "stages.jsonl"
POLL_S = 0.2


@dataclass(frozen=True)
class Stage:
    """One command, or several in a row, and the evidence that they worked."""

    name: str
    commands: Sequence[Sequence[str]]
    check: Callable[[], str]
    """One line on what was found; AssertionError if the stage did not really work."""
    kill_when: Path | None = None
    """The first command is killed as soon as this path exists, as if the power had gone."""
    outputs: Sequence[Path] = ()
    """Files and folders that an attempt before may have left; they are removed first."""


@dataclass(frozen=True)
class Result:
    """What one stage took, and what its check found."""

    stage: str
    seconds: float
    cpu_seconds: float
    peak_gb: float
    """10^9 bytes of all its processes together, at their highest."""
    found: str


class OutOfMemory(Exception):
    """The machine's free memory fell below the limit, so a stage was ended."""


def run_stages(
    stages: Iterable[Stage], work: Path, least_free_gb: float, done: Callable[[Result], object]
) -> None:
    """Run the stages that have no result yet; ``done`` receives the result of every stage in order.

    CalledProcessError if a command fails, AssertionError if a check does, OutOfMemory.
    """
    work.mkdir(parents=True, exist_ok=True)
    path = work / RESULTS
    earlier = {line["stage"]: line for line in read_jsonl(path)} if path.is_file() else {}
    for stage in stages:
        if stage.name in earlier:
            done(Result(**earlier[stage.name]))
            continue
        result = run_stage(stage, work / f"{stage.name}.log", least_free_gb)
        with path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        done(result)


def run_stage(stage: Stage, log: Path, least_free_gb: float) -> Result:
    """Run one stage and check it; its output goes to ``log``."""
    for path in stage.outputs:
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    started, cpu, peak = time.monotonic(), 0.0, 0
    with log.open("wb") as output:
        for number, command in enumerate(stage.commands):
            until = stage.kill_when if number == 0 else None
            used = _run(command, output, until, least_free_gb)
            cpu, peak = cpu + used[0], max(peak, used[1])
    seconds = time.monotonic() - started
    return Result(stage.name, round(seconds), round(cpu), round(peak / 1e9, 2), stage.check())


def _run(
    command: Sequence[str], output: object, until: Path | None, least_free_gb: float
) -> tuple[float, int]:
    """Run a command to its end, or kill it when ``until`` exists; CPU seconds and peak bytes."""
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        env=os.environ | {"GOMP_SPINCOUNT": "10000"},
    )  # fmt: skip
    watched, peak, cpu = psutil.Process(process.pid), 0, {}
    killed = False
    while process.poll() is None:
        peak = max(peak, _resident(watched, cpu))
        if psutil.virtual_memory().available < least_free_gb * 1e9:
            _kill(process)
            raise OutOfMemory(f"{' '.join(command[:6])} ...: {peak / 1e9:.1f} GB and rising")
        if until and until.exists() and not killed:
            _kill(process)
            killed = True
        time.sleep(POLL_S)
    if process.returncode and not killed:
        raise subprocess.CalledProcessError(process.returncode, command)
    assert killed or not until, f"{until}: the command ended before it could be killed"
    return sum(cpu.values()), peak


def _kill(process: subprocess.Popen) -> None:
    """Kill a command and the processes that it started, which are in a session of their own."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _resident(process: psutil.Process, cpu: dict[int, float]) -> int:
    """Bytes in use by a process and its children; their CPU seconds go into ``cpu``."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            cpu[one.pid] = times.user + times.system
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total
