import json

import numpy as np
import pytest
import toml
from safetensors.numpy import save_file

from dmm.errors import InputError, PresetError
from dmm.training.resuming import (
    finished_lora,
    finished_record,
    refuse_to_overwrite,
    resumed_record,
    state_to_resume,
)

FACTS = {
    "base": "sdxl", "base_sha256": "a", "format": "nano", "dataset": "music",
    "dataset_sha256": "d", "licences": {"CC0": 3}, "processes": 1,
}  # fmt: skip
SETTINGS = {"learning_rate": 1e-4, "network_dim": 16}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "preset.toml").write_text(toml.dumps(SETTINGS))
    (tmp_path / "run.json").write_text(json.dumps({**FACTS, "from_weights": "old"}))
    return tmp_path


def resumed(run, facts=(), settings=(), step=2):
    state = run / "state" / f"step-{step:06d}"
    return resumed_record(run, state, FACTS | dict(facts), SETTINGS | dict(settings))


def test_changes_are_recorded_with_both_values(run):
    (entry,) = resumed(run, settings={"learning_rate": 2e-4, "huber_end": 0.01})["resumed"]
    expected = {"learning_rate": [1e-4, 2e-4], "huber_end": [None, 0.01]}
    assert entry == {"from": "step-000002", "changed": expected}


def test_every_resume_stays_on_record(run):
    first = FACTS | resumed(run, facts={"processes": 2})
    (run / "run.json").write_text(json.dumps(first | {"processes": 2}))
    second = resumed(run, facts={"processes": 2}, step=4)
    froms = [(entry["from"], entry["changed"]) for entry in second["resumed"]]
    assert froms == [("step-000002", {"processes": [1, 2]}), ("step-000004", {})]
    assert second["from_weights"] == "old"


def test_another_dataset_is_a_change_and_its_licences_are_added(run):
    other = {"dataset": "more", "dataset_sha256": "e", "licences": {"CC BY": 5, "CC0": 2}}
    found = resumed(run, facts=other)
    (entry,) = found["resumed"]
    assert entry["changed"] == {"dataset": ["music", "more"], "dataset_sha256": ["d", "e"]}
    assert found["licences"] == {"CC BY": 5, "CC0": 3}


def test_another_rank_is_refused_with_the_way_out(run):
    with pytest.raises(PresetError, match=r"16 in .* cannot become 32 .*--from-weights"):
        resumed(run, settings={"network_dim": 32})


def test_other_processes_are_refused_where_the_schedule_has_a_length_of_its_own(run):
    schedule = {"lr_scheduler_type": "CosineAnnealingLR"}
    (run / "preset.toml").write_text(toml.dumps(SETTINGS | schedule))
    assert resumed(run, settings=schedule)["resumed"]
    with pytest.raises(PresetError, match=r"processes is 1 in .* and cannot become 2 .*CosineA"):
        resumed(run, settings=schedule, facts={"processes": 2})


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"base_sha256": "b"}, r"another base \(sdxl.*--base"),
        ({"format": "sdxl-512"}, r"another format \(nano, not sdxl-512\)"),
    ],
)
def test_another_base_or_format_is_refused(run, facts, message):
    with pytest.raises(InputError, match=message):
        resumed(run, facts=facts)


def test_the_newest_state_is_resumed_and_half_written_ones_are_none(run):
    with pytest.raises(InputError, match="no state to resume from"):
        state_to_resume(run)
    for name in ("step-000002", "step-000010", ".part-step-000012"):
        (run / "state" / name).mkdir(parents=True)
    assert state_to_resume(run).name == "step-000010"
    for name in ("step-999999", "step-1000000"):
        (run / "state" / name).mkdir()
    assert state_to_resume(run).name == "step-1000000"
    with pytest.raises(InputError, match="holds a run already"):
        refuse_to_overwrite(run)


def trained_lora(run, steps):
    path = run / "lora.safetensors"
    save_file({"x": np.zeros(1, np.float32)}, path, {"ss_steps": str(steps)})
    return path


def test_a_run_whose_lora_has_all_steps_is_finished_though_its_record_says_started(run):
    lora = trained_lora(run, 30)
    assert finished_lora(run, "lora", 30) == lora and finished_lora(run, "lora", 31) is None
    record = finished_record(run, lora)
    assert (record["status"], record["step"], record["base"]) == ("finished", 30, "sdxl")


def test_a_run_that_stopped_early_is_finished_unless_a_state_can_go_on(run):
    trained_lora(run, 12)
    (run / "outcome.json").write_text(json.dumps({"status": "stopped", "step": 20}))
    assert finished_lora(run, "lora", 30)
    (run / "state" / "step-000020").mkdir(parents=True)
    assert finished_lora(run, "lora", 30) is None


def test_a_run_without_a_lora_is_not_finished(run):
    assert finished_lora(run, "lora", 1) is None
