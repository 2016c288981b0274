"""A RUN folder that an earlier commit wrote is read as before."""

import json
import shutil
from pathlib import Path

import pytest

from dmm.checkpoints.header import read_metadata
from dmm.training.presets import resolve
from dmm.training.resuming import resumed_record, state_to_resume
from dmm.training.run_card.card import write_card
from dmm.training.runs import last_value, read_run, series
from dmm.training.starting_weights import write_at_rank

OLD = Path(__file__).parents[2] / "golden" / "run-850b165"


def test_its_record_metrics_and_newest_state_are_found():
    run = read_run(OLD)
    assert (run.status, run.lora_name, run.record["step"]) == ("finished", "lora", 3)
    assert series(run.lines, "loss")[0].tolist() == [1, 2, 3]
    assert last_value(run.lines, "preview/embedder") == "mel-stats"
    assert state_to_resume(OLD).name == "step-000002"


def test_its_lora_says_how_its_images_decode():
    metadata = read_metadata(OLD / "lora.safetensors")
    assert (metadata["dmm_format"], metadata["dmm_anchor"]) == ("nano", "mel spectrogram music")
    assert json.loads(metadata["dmm_format_parameters"])["sr"] == 22050
    assert (metadata["ss_steps"], metadata["dmm_weights"]) == ("3", "average")


def test_it_gets_a_card(tmp_path):
    run = Path(shutil.copytree(OLD, tmp_path / "run"))
    card = write_card(run).read_text(encoding="utf-8")
    assert "--lora lora.safetensors" in card and "mel spectrogram music" in card


def test_its_settings_are_compared_with_those_of_a_resume():
    run = read_run(OLD)
    words = [f"{key}={run.preset[key]}" for key in ("network_dim", "network_alpha")]
    settings = resolve("nano-cpu", [*words, "network_args=" + run.preset["network_args"][0]])
    found = resumed_record(OLD, state_to_resume(OLD), run.record, settings.stated)
    assert found["resumed"][0]["changed"]["ema_decay"] == [0.9, None]
    assert "network_dim" not in found["resumed"][0]["changed"]


@pytest.mark.parametrize("rank", [1, 3])
def test_another_run_can_begin_from_its_lora(tmp_path, rank):
    write_at_rank(OLD / "lora.safetensors", tmp_path / "start.safetensors", rank, 1.0)
    assert (tmp_path / "start.safetensors").is_file()
