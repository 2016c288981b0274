"""Hostile inputs: each must be accepted or refused in one line, in bounded time and memory.

``try_inputs(family, strategy, target, count)`` runs a function on generated inputs; the table of
docs/reliability.md is printed at the end of a run.
"""

import json
import os
import resource
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmm.errors import DmmError

CPU_S, WALL_S, MEMORY_MB = 20, 300, 1500
"""Most processor seconds, seconds and additional memory of one input."""
TRIED: dict[str, Counter] = {}
KILLS = int(os.environ.get("DMM_KILLS", "12"))
"""Kills of each command, at seeded random moments."""
KILLED: dict[str, Counter] = {}
FULL_DISKS: Counter[str] = Counter()
COUNTED = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.scandir", "os.truncate"}
"""Audit events that count as file operations."""
CHILD_S = 1500
"""Seconds after which a child process is ended as hanging."""

FEW = [20, pytest.param(70, marks=pytest.mark.slow)]
"""Inputs of a family in the default run, and with ``-m slow``."""
NUMBERS = (
    st.floats()
    | st.integers()
    | st.sampled_from([0, -1, 1e308, 2**63, 2**64, float("nan"), float("inf"), 1e-320, True])
)
KEYS = (
    "prompt seed clips format options anchor part start seconds extends templates words step "
    "status tempo_bpm truth overlap_s datasets unet"
)
NAMES = st.sampled_from(KEYS.split()) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
BROKEN = st.sampled_from(
    [
        b"", b"{", b"[" * 50_000, b'{"a":' * 5_000, b"\xff\xfe{", b"\xef\xbb\xbf{}", b"null",
        b"\x00" * 50, b'{"seed": ' + b"9" * 5_000 + b"}", b'{"prompt": "\\ud800"}', b'{"a": NaN}',
        b'{"a": 1e999}', '{"prompt": "é"}'.encode("utf-16"), b"[[part]]\nstart = nan\n",
        b"a = " + b"[" * 5_000, b"a.b.c.d = 1\n" * 200, b'prompt = "\x1b[2J"', b"seconds = 1e999",
        b"x = 0o777777777777777777777777",
    ]
)  # fmt: skip


def json_texts():
    """JSON of any values, and texts that are none."""
    return (
        st.dictionaries(NAMES, VALUES, max_size=5).map(
            lambda value: json.dumps(value, ensure_ascii=True).encode()
        )
        | VALUES.map(lambda value: json.dumps(value).encode())
        | BROKEN
        | st.binary(max_size=80)
    )


def toml_texts():
    """TOML of any tables, and texts that are none."""

    def line(item):
        key, value = item
        return f"{json.dumps(key)} = {json.dumps(value)}"

    tables = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(
        lambda items: "\n".join(map(line, items)).encode()
    )
    named = tables.map(lambda text: b"[[part]]\n" + text)
    return tables | named | BROKEN | st.binary(max_size=80)


@st.composite
def mutated(draw, contents):
    """One of these contents with bytes changed, cut out, repeated or put in."""
    data = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.sampled_from([1, 2, 4, 8, 64, 1024]))
        match draw(st.sampled_from(["change", "cut", "repeat", "insert", "end", "ones"])):
            case "change":
                data[place : place + 4] = draw(st.binary(min_size=1, max_size=4))
            case "cut":
                del data[place : place + length]
            case "repeat":
                data[place:place] = data[place : place + length]
            case "insert":
                data[place:place] = draw(st.binary(max_size=16))
            case "end":
                del data[place:]
            case "ones":
                data[place : place + 4] = b"\xff" * 4
    return bytes(data)


def pytest_generate_tests(metafunc):
    """Every property is tried on a few inputs, and on many with ``-m slow``."""
    if "count" in metafunc.fixturenames:
        metafunc.parametrize("count", FEW)


@pytest.fixture(scope="session")
def hostile():
    """The strategies that several families share."""
    return SimpleNamespace(
        json_texts=json_texts,
        toml_texts=toml_texts,
        mutated=mutated,
        numbers=NUMBERS,
        values=VALUES,
    )


@pytest.fixture(scope="session")
def try_inputs():
    def run(family, strategy, target, count):
        counts = TRIED.setdefault(family, Counter())

        @settings(
            max_examples=count, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(strategy)
        def one(value):
            counts["tried"] += 1
            with limits():
                counts[outcome(target, value)] += 1

        one()

    return run


def outcome(target, value):
    """ "accepted" or "refused"; any other end than a refusal in one line fails the test."""
    try:
        target(value)
    except DmmError as error:
        assert len(str(error).splitlines()) == 1, f"not one line: {error}"
        return "refused"
    return "accepted"


@contextmanager
def limits():
    """Fail, in the main thread, beyond the limits of time and memory."""

    def stop(number, _):
        raise AssertionError(f"beyond the limit of time (signal {number})")

    before = {n: signal.signal(n, stop) for n in (signal.SIGVTALRM, signal.SIGALRM)}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S)
    signal.setitimer(signal.ITIMER_REAL, WALL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    used_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - peak_mb
    assert used_mb < MEMORY_MB, f"took {used_mb:.0f} MB"


@pytest.fixture
def kill_and_repeat(tmp_path):
    """``kill_and_repeat(name, action, results)``: a command that is killed, then run again.

    ``action(folder)`` works in a new folder, always the same. ``results(folder)`` must be equal
    whether or not a run was killed before; with ``is_final``, what a killed run leaves under its
    final name must have these contents already.
    """

    def check(name, action, results, kills=KILLS, is_final=None):
        counts = KILLED.setdefault(name, Counter())
        whole, warm = tmp_path / "whole", tmp_path / "warm"
        warm.mkdir()
        action(warm)  # so that children import and compile nothing
        operations, pause_s = in_child(action, whole)
        expected, rng = results(whole), np.random.default_rng(0)
        for number in range(kills):
            place = int((number + rng.random()) / kills * operations) + 1
            delay_s = float(rng.random()) * pause_s if number % 2 else 0.0
            folder = tmp_path / f"killed-{number}"
            counts["killed"] += in_child(action, folder, place, delay_s) is None
            if is_final:
                left = {path: it for path, it in results(folder).items() if is_final(path)}
                assert left.items() <= expected.items(), f"half written at operation {place}"
            assert in_child(action, folder) is not None
            assert results(folder) == expected, f"killed at operation {place}, {delay_s:.3f} s"
            counts["equal"] += 1
        assert counts["killed"] > kills / 2

    return check


def in_child(action, folder, operation=None, delay_s=0.0):
    """Run in a forked child with a process group of its own, which is waited for.

    The group is killed by SIGKILL ``delay_s`` after the n-th file operation. Returns how many
    operations there were and the mean seconds of one, or None if the child was killed.
    """
    folder.mkdir(exist_ok=True)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        counted, kill = 0, lambda: os.killpg(0, signal.SIGKILL)

        def hook(event, _):
            nonlocal counted
            if event in COUNTED:
                counted += 1
                if counted == operation:
                    threading.Timer(delay_s, kill).start() if delay_s else kill()

        try:
            os.setpgid(0, 0)
            signal.alarm(CHILD_S)
            start = time.monotonic()
            sys.addaudithook(hook)
            action(folder)
            os.write(writer, f"{counted} {(time.monotonic() - start) / counted}".encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(reader) as found:
        text = found.read()
    if operation and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    assert status == 0, f"ended with status {status}"
    count, pause_s = text.split()
    return int(count), float(pause_s)


@pytest.fixture(scope="session")
def full_disks():
    """Counts full disks by command."""
    return FULL_DISKS


def pytest_terminal_summary(terminalreporter):
    if FULL_DISKS:
        terminalreporter.write_line(
            f"hostile | full disks | {FULL_DISKS.total()} tried | {len(FULL_DISKS)} commands"
        )
    for name, counts in sorted(KILLED.items()):
        terminalreporter.write_line(
            f"hostile | {name} | {counts['killed']} killed | {counts['equal']} equal afterwards"
        )
    for family, counts in sorted(TRIED.items()):
        terminalreporter.write_line(
            f"hostile | {family} | {counts['tried']} tried | {counts['refused']} refused | "
            f"{counts['accepted']} accepted"
        )
