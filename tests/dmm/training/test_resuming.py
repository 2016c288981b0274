import json

import pytest
import toml

from dmm.errors import InputError, PresetError
from dmm.training.resuming import (
    changed_settings,
    refuse_other_base,
    refuse_to_overwrite,
    state_to_resume,
)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "preset.toml").write_text(toml.dumps({"learning_rate": 1e-4, "network_dim": 16}))
    (tmp_path / "run.json").write_text(json.dumps({"base_sha256": "a", "base": "sdxl"}))
    return tmp_path


def test_what_changed_is_told_with_both_values(run):
    now = {"learning_rate": 2e-4, "network_dim": 16, "huber_end": 0.01}
    expected = {"learning_rate": [1e-4, 2e-4], "huber_end": [None, 0.01]}
    assert changed_settings(run, now) == expected


def test_another_rank_is_refused_with_the_way_out(run):
    with pytest.raises(PresetError, match=r"16 in .* cannot become 32 .*--from-weights"):
        changed_settings(run, {"learning_rate": 1e-4, "network_dim": 32})


def test_another_base_is_refused(run):
    refuse_other_base(run, "a")
    with pytest.raises(InputError, match=r"another base \(sdxl\)"):
        refuse_other_base(run, "b")


def test_the_newest_state_is_resumed_and_half_written_ones_are_none(run):
    with pytest.raises(InputError, match="no state to resume from"):
        state_to_resume(run)
    for name in ("step-000002", "step-000010", ".part-step-000012"):
        (run / "state" / name).mkdir(parents=True)
    assert state_to_resume(run).name == "step-000010"
    with pytest.raises(InputError, match="holds a run already"):
        refuse_to_overwrite(run)
