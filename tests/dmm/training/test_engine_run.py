"""Trainer processes from outside: how they end together, and what their end is taken for."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from dmm.errors import EngineError
from dmm.training import engine_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``run(script, processes)``: a Python script, which knows ``run``, in place of the trainer."""

    def run(script, processes=1):
        path = tmp_path / "trainer.py"
        path.write_text(f"import os, pathlib, sys, time\nrun = pathlib.Path({str(tmp_path)!r})\n")
        path.write_text(path.read_text() + script)
        monkeypatch.setattr(engine_run, "_trainer_command", lambda _: [sys.executable, str(path)])
        return engine_run.run_trainer(tmp_path, tmp_path, processes)

    return run


def ends(**facts):
    return f"(run / 'outcome.json').write_text({json.dumps(facts)!r})\n"


def test_every_process_knows_its_place_among_the_others(run, tmp_path):
    script = (
        "names = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR')\n"
        "(run / os.environ['RANK']).write_text(' '.join(os.environ[n] for n in names))\n"
    )
    run(script + ends(status="finished"), processes=2)
    assert [(tmp_path / rank).read_text() for rank in "01"] == [
        "0 0 2 127.0.0.1",
        "1 1 2 127.0.0.1",
    ]


def test_one_that_fails_ends_those_that_wait_for_it(run, monkeypatch):
    monkeypatch.setattr(engine_run, "GRACE_S", 0.2)
    script = f"if os.environ['RANK'] == '0': time.sleep(60)\n{ends(status='failed', reason='NaN')}"
    start = time.monotonic()
    with pytest.raises(EngineError, match="training failed: NaN"):
        run(script + "sys.exit(1)", processes=2)
    assert time.monotonic() - start < 20


def test_ctrl_c_before_the_trainer_listens_is_an_interruption(run):
    script = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    with pytest.raises(KeyboardInterrupt):
        run(script + "for pid in (os.getppid(), os.getpid()): os.kill(pid, signal.SIGINT)")


def test_ctrl_c_after_the_end_leaves_a_finished_run(run):
    script = ends(status="finished", step=3)
    kills = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    kills += "for pid in (os.getppid(), os.getpid()): os.kill(pid, signal.SIGINT)"
    assert run(script + kills)["step"] == 3


def test_sigterm_reaches_the_trainer_which_is_waited_for(run):
    script = (
        "import signal\n"
        f"def caught(*_):\n    time.sleep(0.3)\n    {ends(status='interrupted')}    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, caught)\n"
        "os.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(60)"
    )
    with pytest.raises(KeyboardInterrupt):
        run(script)


def test_sigterm_that_comes_while_the_trainer_is_started_reaches_it(run, monkeypatch):
    start = subprocess.Popen

    def start_and_signal(*arguments, **settings):
        process = start(*arguments, **settings)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr(engine_run.subprocess, "Popen", start_and_signal)
    with pytest.raises(KeyboardInterrupt):
        run("time.sleep(200)")


def test_a_sigterm_to_the_trainer_alone_is_a_failure(run):
    with pytest.raises(EngineError, match=f"exit code -{signal.SIGTERM.value};"):
        run("import signal\nos.kill(os.getpid(), signal.SIGTERM)")


PARENT = """
import pathlib, sys
from dmm.training import engine_run
run = pathlib.Path(sys.argv[1])
engine_run._trainer_command = lambda _: [sys.executable, str(run / "trainer.py")]
engine_run.run_trainer(run, run)
"""
WATCHING = """
import os, pathlib, sys, threading, time
from dmm_ext import __main__ as entry
threading.Thread(target=entry._end_with_parent, daemon=True).start()
pathlib.Path(__file__).with_name("pid").write_text(str(os.getpid()))
time.sleep(60)
"""


def test_a_trainer_ends_with_the_process_that_started_it(tmp_path):
    (tmp_path / "trainer.py").write_text(WATCHING)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)])
    note, deadline = tmp_path / "pid", time.monotonic() + 200
    while not note.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    trainer = int(note.read_text())
    while psutil.pid_exists(trainer) and psutil.Process(trainer).status() != "zombie":
        assert time.monotonic() < deadline
        time.sleep(0.1)
