"""A killed and resumed training ends in the LoRA of an uninterrupted one, bit for bit."""

import json
import os
import shutil

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

pytestmark = pytest.mark.filterwarnings("ignore")
SETTINGS = {
    "max_train_steps": 6, "save_state": True, "save_every_n_steps": 1, "ema_decay": 0.9,
    "gradient_accumulation_steps": 2, "validate_every_n_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(train_here, tmp_path_factory):
    """Six steps of two batches each; a turn through the data has five."""
    out = tmp_path_factory.mktemp("whole") / "run"
    code, _ = train_here(out, **SETTINGS)
    assert code == 0
    return out


def tensors(run, name="lora"):
    return load_file(run / f"{name}.safetensors")


def equal(a, b):
    return a.keys() == b.keys() and all(a[key].equal(b[key]) for key in a)


def copy_with_states(whole, out, step):
    """What a run killed right after the state of ``step`` leaves."""
    shutil.copytree(whole, out)
    (out / "lora.safetensors").unlink()
    for state in (out / "state").glob("step-*"):
        if int(state.name[5:]) > step:
            shutil.rmtree(state)
    return out / "state" / f"step-{step:06d}"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_others_may_read_loras_and_states_as_the_umask_says(whole):
    os.umask(umask := os.umask(0))
    written = [whole / "lora.safetensors", *(whole / "state").rglob("*.*")]
    files = [path for path in written if path.is_file()]
    assert len(files) > 4
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {oct(0o666 & ~umask)}


@pytest.mark.parametrize("killed_at", [1, 3])
def test_a_resumed_run_is_bit_identical(whole, train_here, tmp_path, killed_at):
    state = copy_with_states(whole, tmp_path / "run", killed_at)
    code, _ = train_here(tmp_path / "run", resume=str(state), **SETTINGS)
    assert code == 0
    assert equal(tensors(tmp_path / "run"), tensors(whole))
    assert equal(tensors(tmp_path / "run", "best"), tensors(whole, "best"))
    assert metadata(tmp_path / "run") == metadata(whole)
    lines, expected = ((run / "metrics.jsonl").read_text() for run in (tmp_path / "run", whole))
    assert without_average(lines) == without_average(expected)


def metadata(run):
    """All that a LoRA says of itself, without times and random names."""
    with safe_open(run / "lora.safetensors", framework="numpy") as file:
        found = file.metadata()
    assert (found["ss_epoch"], found["ss_num_epochs"], found["ss_validate_every_n_steps"]) == (
        "2", "2", "2",
    )  # fmt: skip
    passing = ("modelspec.date", "ss_session_id", "ss_output_name")
    return {k: v for k, v in found.items() if k not in passing and not k.endswith("ed_at")}


def without_average(lines):
    return [
        {k: v for k, v in json.loads(line).items() if k != "loss_average"}
        for line in lines.splitlines()
    ]


def test_worker_processes_load_the_same_batches(whole, train_here, tmp_path):
    assert train_here(tmp_path / "run", max_data_loader_n_workers=2, **SETTINGS)[0] == 0
    assert equal(tensors(tmp_path / "run"), tensors(whole))
