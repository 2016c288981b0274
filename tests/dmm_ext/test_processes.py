"""The trainer in processes of its own: two that train together, and one that is killed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

from dmm.training.engine_run import engine_environment, run_trainer

pytestmark = pytest.mark.filterwarnings("ignore")


def test_two_processes_train_what_one_does_with_two_batches_a_step(
    engine, prepare_run, train_here, tmp_path
):
    settings = {"max_train_steps": 4, "validate_every_n_steps": 2, "lr_warmup_steps": 2}
    prepare_run(tmp_path / "two", **settings)
    assert run_trainer(engine, tmp_path / "two", processes=2)["status"] == "finished"
    train_here(tmp_path / "one", gradient_accumulation_steps=2, **settings)
    two, one = (load_file(tmp_path / name / "lora.safetensors") for name in ("two", "one"))
    assert all(two[key].allclose(one[key], atol=1e-5) for key in one)
    ours, theirs = (validations(tmp_path / name / "metrics.jsonl") for name in ("two", "one"))
    assert len(ours) == 3 and ours == pytest.approx(theirs, rel=1e-5)


def validations(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line["validation_loss"] for line in lines if "validation_loss" in line]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_interrupted_processes_go_on_bit_by_bit(engine, prepare_run, tmp_path):
    settings = {"max_train_steps": 6, "save_precision": "float"}
    prepare_run(tmp_path / "whole", **settings)
    run_trainer(engine, tmp_path / "whole", processes=2)
    run = tmp_path / "run"
    prepare_run(run, **settings)
    code = f"run_trainer(Path({str(engine)!r}), Path({str(run)!r}), processes=2)"
    head = "from pathlib import Path; from dmm.training.engine_run import run_trainer; "
    process = subprocess.Popen([sys.executable, "-c", head + code], start_new_session=True)
    while not (run / "metrics.jsonl").is_file():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.wait()
    assert json.loads((run / "outcome.json").read_text())["status"] == "interrupted"
    (state,) = (run / "state").iterdir()
    prepare_run(run, resume=str(state), **settings)
    run_trainer(engine, run, processes=2)
    ours, theirs = (load_file(f / "lora.safetensors") for f in (run, tmp_path / "whole"))
    assert all(ours[key].equal(theirs[key]) for key in theirs)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.4, 0.7, 1.1, 1.6])
def test_a_killed_run_goes_on_bit_by_bit(engine, prepare_run, train_here, tmp_path, seconds):
    settings = {"max_train_steps": 30, "save_state": True, "save_every_n_steps": 1}
    train_here(tmp_path / "whole", **settings)
    config = prepare_run(tmp_path / "run", **settings)
    command = [sys.executable, "-m", "dmm_ext", "--config_file", str(config)]
    process = subprocess.Popen(command, env=engine_environment(engine))
    while not list((tmp_path / "run" / "state").glob("step-*")):
        time.sleep(0.02)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    state = max((tmp_path / "run" / "state").glob("step-*"))
    assert train_here(tmp_path / "run", resume=str(state), **settings)[0] == 0
    ours, theirs = (load_file(tmp_path / name / "lora.safetensors") for name in ("run", "whole"))
    assert all(ours[key].equal(theirs[key]) for key in theirs)
    assert not list((tmp_path / "run" / "state").glob(".part*"))
