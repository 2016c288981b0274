"""A state that an earlier commit saved goes on in today's trainer."""

import json
import shutil
from pathlib import Path

import pytest
import toml
from safetensors import safe_open
from safetensors.torch import load_file

pytestmark = pytest.mark.filterwarnings("ignore")
OLD = Path(__file__).parents[1] / "golden" / "run-850b165"


def test_a_state_of_an_earlier_commit_keeps_its_counts_averages_and_best(
    train_here, tmp_path, monkeypatch
):
    run, saved = (
        tmp_path / "run",
        json.loads((OLD / "state/step-000002/dmm_state.json").read_text()),
    )
    shutil.copytree(OLD, run)
    monkeypatch.setattr(
        "dmm_ext.training_run.validation_fingerprint", lambda *_: saved["yardstick"]
    )
    monkeypatch.setattr("dmm_ext.training_run.validation_loss", lambda *_: 1.0)
    settings = toml.loads((OLD / "preset.toml").read_text()) | {"preview_every_n_steps": None}
    settings |= {"max_train_steps": 4, "save_precision": "float"}
    code, trainer = train_here(run, resume=str(run / "state" / "step-000002"), **settings)
    outcome = json.loads((run / "outcome.json").read_text())
    assert (code, outcome["step"], outcome["best_step"]) == (0, 4, saved["early_stop"]["best_step"])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]
    assert trainer.training_run.ema.updates == 4
    best, kept = (
        load_file(f) for f in (run / "lora.safetensors", OLD / "state/step-000002/best.safetensors")
    )
    assert all(best[key].equal(kept[key]) for key in kept)
    with safe_open(run / "state" / "step-000004" / "model.safetensors", "numpy") as file:
        assert len(file.keys()) == 36


def test_a_preview_of_an_earlier_commit_is_not_generated_again(inside_engine):
    from dmm_ext.previews import scores_if_unchanged

    folder = OLD / "previews" / "step-000002"
    record = json.loads((folder / "preview.json").read_text())
    assert scores_if_unchanged(folder, record["drawn"]) == record["scores"]
