"""The real engine on a tiny checkpoint: a short run, a resume, and clips from the LoRA."""

import json
import shutil

import numpy as np
import pytest
from safetensors import safe_open

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions
from dmm.errors import DmmError, EngineError, InputError, PresetError
from dmm.generation.generate import generate
from dmm.training.train import train

SHORT = ("train_batch_size=2", "save_state=true", "save_every_n_steps=2", "huber_curve=cosine")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "dataset"
    options = BuildOptions(source="minimidi", format="nano", styles=("music box",))
    build_dataset(folder, options, count=8, jobs=1)
    return folder


@pytest.fixture(scope="module")
def run(engine, dataset, tiny_checkpoint, tmp_path_factory):
    """Three steps, then a resume from the state of the second up to five."""
    out = tmp_path_factory.mktemp("runs") / "run"
    train("nano-cpu", dataset, tiny_checkpoint, out, (*SHORT, "max_train_steps=3"))
    train("nano-cpu", dataset, tiny_checkpoint, out, (*SHORT, "max_train_steps=5"), resume=True)
    return out


def test_a_resumed_run_counts_every_step_once(run):
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5]


def test_the_threshold_continues_and_ends_at_its_end(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    thresholds = [line["huber_threshold"] for line in lines]
    assert thresholds[0] == pytest.approx(0.15) and thresholds[-1] == pytest.approx(0.05)
    assert thresholds[3] == pytest.approx(0.05 + 0.1 * 0.5 * (1 + np.cos(np.pi * 0.75)))


def test_the_lora_knows_its_steps_and_its_anchor(run):
    with safe_open(run / "lora.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    assert (metadata["ss_steps"], metadata["dmm_anchor"]) == ("5", "mel spectrogram music")


def test_the_run_folder_says_what_made_it(run):
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "finished" and record["resumed"][0]["from"] == "step-000003"
    assert record["resumed"][0]["changed"] == {"max_train_steps": [3, 5]}
    assert record["seconds"] > 5 * record["seconds_per_step"]  # those before the resume count too
    assert "learning_rate" in (run / "preset.toml").read_text()
    assert list((run / "logs").rglob("events.out.tfevents*"))


def test_a_finished_run_is_not_overwritten(run, dataset, tiny_checkpoint):
    with pytest.raises(InputError, match="--resume or name another folder"):
        train("nano-cpu", dataset, tiny_checkpoint, run)


def test_resuming_a_finished_run_writes_its_lost_records_again(
    run, dataset, tiny_checkpoint, tmp_path, capsys
):
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "RUN.md").unlink()
    record = json.loads((copy / "run.json").read_text()) | {"status": "started"}
    (copy / "run.json").write_text(json.dumps(record))
    lora = train(
        "nano-cpu", dataset, tiny_checkpoint, copy, (*SHORT, "max_train_steps=5"), resume=True
    )
    assert lora.read_bytes() == (run / "lora.safetensors").read_bytes()
    assert json.loads((copy / "run.json").read_text())["status"] == "finished"
    assert (copy / "RUN.md").is_file() and "finished already" in capsys.readouterr().err


def test_a_resumed_run_takes_no_other_weights(run, dataset, tiny_checkpoint):
    with pytest.raises(PresetError, match="leave out --from-weights"):
        train("nano-cpu", dataset, tiny_checkpoint, run, SHORT, resume=True, from_weights=run)


def test_a_dataset_without_training_clips_is_refused(engine, tiny_checkpoint, tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="not a dataset"):
        train("nano-cpu", tmp_path / "data", tiny_checkpoint, tmp_path / "run")
    (tmp_path / "data" / "dataset.json").write_text("{}")
    empty = '[[datasets]]\n[[datasets.subsets]]\nimage_dir = "train"\n'
    (tmp_path / "data" / "dataset.toml").write_text(empty)
    with pytest.raises(InputError, match="train split holds no clips"):
        train("nano-cpu", tmp_path / "data", tiny_checkpoint, tmp_path / "run")


def test_a_misspelt_setting_stops_before_anything_is_written(
    engine, dataset, tiny_checkpoint, tmp_path
):
    with pytest.raises(PresetError, match="did you mean 'network_dim'"):
        train("nano-cpu", dataset, tiny_checkpoint, tmp_path / "run", ("netwrok_dim=4",))
    assert not (tmp_path / "run").exists()


def test_a_run_that_does_not_fit_on_the_disk_is_refused_before_it_starts(
    dataset, tiny_checkpoint, tmp_path, monkeypatch
):
    monkeypatch.setattr("dmm.training.forecast.disk.free_bytes", lambda folder: 10**5)
    with pytest.raises(DmmError, match=r"run: the run takes .* MB are free; most is for"):
        train("nano-cpu", dataset, tiny_checkpoint, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_why_a_run_failed_is_reported_though_the_disk_is_full(
    engine, dataset, tiny_checkpoint, tmp_path, monkeypatch
):
    def full(*_):
        raise DmmError("run.json: the disk is full")

    def fails(*_):
        monkeypatch.setattr("dmm.training.train.write_text", full)
        raise EngineError("the trainer's own reason")

    monkeypatch.setattr("dmm.training.train.run_trainer", fails)
    with pytest.raises(EngineError, match="own reason"):
        train("nano-cpu", dataset, tiny_checkpoint, tmp_path / "run")


def test_the_lora_changes_the_images(run, tiny_checkpoint, tmp_path):
    (plain,) = generate(["piano"], tiny_checkpoint, tmp_path / "a", steps=2)
    lora = run / "lora.safetensors"
    (tuned,) = generate(["piano"], tiny_checkpoint, tmp_path / "b", lora, steps=2)
    assert plain.name == tuned.name == "piano-0.flac"
    assert plain.with_suffix(".png").read_bytes() != tuned.with_suffix(".png").read_bytes()


def test_another_run_starts_from_the_lora_at_another_rank(run, dataset, tiny_checkpoint, tmp_path):
    settings = ("network_dim=24", "max_train_steps=1", "learning_rate=1e-12")
    lora = train(
        "nano-cpu", dataset, tiny_checkpoint, tmp_path / "run", settings,
        from_weights=run / "lora.safetensors",
    )  # fmt: skip
    name = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    before, after = change(run / "lora.safetensors", name), change(lora, name)
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert np.abs(before).max() > 1e-4


def change(lora, name):
    """The change of one layer's weights."""
    with safe_open(lora, framework="numpy") as file:
        down, up = (file.get_tensor(f"{name}.lora_{p}.weight") for p in ("down", "up"))
        alpha = file.get_tensor(f"{name}.alpha")
    return up.astype(np.float32) @ down.astype(np.float32) * float(alpha) / len(down)
