"""``dmm bench card`` at tiny sizes on a CPU, so that a card finds no mistake of ours."""

import json
import subprocess
import time

import pytest

from bench.card import measure
from bench.card.measure import MeasurementPlan, Measurements, measure_card, rows
from bench.card.networks import (
    Figure,
    measure_clap,
    measure_codec,
    measure_distillation,
    measure_generation,
    measure_vae,
)
from bench.card.noise_dataset import write_noise_dataset
from bench.card.trainings import PRESETS, StockTraining, inputs_of
from dmm.cli import run as run_command
from dmm.distillation.presets import load_preset
from dmm.errors import DmmError, EngineError, InputError
from dmm.training.forecast.card import MeasuredTraining, card_file, read_card_file

TRAINED = MeasuredTraining(
    preset="nano-cpu", architecture="sdxl", width=32, clips=4, pixels=256 * 256,
    checkpointing=False, seconds_per_step=2.0, peak_memory_mb=1200, forecast_memory_mb=1000,
)  # fmt: skip


@pytest.fixture(autouse=True)
def stored_here(monkeypatch, tmp_path):
    monkeypatch.setenv("DMM_CONFIG", str(tmp_path / "config"))


def test_every_preset_that_is_measured_can_be_trained_on_the_noise(tiny_checkpoint, tmp_path):
    data = write_noise_dataset(tmp_path / "data", "nano", 12)
    for preset in PRESETS:
        settings = inputs_of(preset, tiny_checkpoint, data).settings
        assert settings["optimizer_type"] in ("AdamW", "AdamW8bit")


def test_generation_vae_codec_and_clap_are_timed(tiny_checkpoint):
    found = [
        *measure_generation(tiny_checkpoint, "nano", "bf16", 1),
        *measure_vae(tiny_checkpoint, "nano"),
        *measure_codec("nano"),
        *measure_clap(layers=1),
    ]
    assert [figure.unit for figure in found] == ["clips/min", *["s/clip"] * 3, "clips/s"]
    assert all(figure.value > 0 for figure in found)
    assert found[0].note == "1 steps, batch of 4; 0 of 12 clips overflowed"


def test_what_fails_is_reported_and_the_rest_goes_on(monkeypatch, tiny_checkpoint, tmp_path):
    def fails(*_):
        raise EngineError("out of memory: take another preset\nsecond line")

    monkeypatch.setattr(measure, "measure_training", lambda *_: TRAINED)
    monkeypatch.setattr(measure, "measure_stock", fails)
    for name in ("generation", "vae", "codec", "distillation", "clap"):
        figures = [Figure(name, 1.0, "s")]
        monkeypatch.setattr(measure, f"measure_{name}", lambda *_, figures=figures: figures)
    plan = MeasurementPlan(tiny_checkpoint, "nano", ("nano-cpu",))
    measured = measure_card(plan, tmp_path / "card.json")
    assert measured.missing == {"sd-scripts nano-cpu": "out of memory: take another preset"}
    assert len(measured.figures) == 6
    written = json.loads((tmp_path / "card.json").read_text())
    assert written["trainings"][0]["seconds_per_step"] == 2.0
    assert read_card_file(card_file()).trainings == (TRAINED,)  # for --check


def test_an_error_of_torch_leaves_a_reason_and_what_was_measured_before(
    monkeypatch, tiny_checkpoint, tmp_path
):
    def fails(*_):
        raise RuntimeError("CUDA error: an illegal memory access")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "measure_training", lambda *_: TRAINED)
    monkeypatch.setattr(measure, "measure_stock", fails)
    monkeypatch.setattr(measure, "measure_generation", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_card(
            MeasurementPlan(tiny_checkpoint, "nano", ("nano-cpu",)), tmp_path / "card.json"
        )
    written = json.loads((tmp_path / "card.json").read_text())
    assert written["trainings"][0]["seconds_per_step"] == 2.0
    assert written["not_measured"] == {
        "sd-scripts nano-cpu": "CUDA error: an illegal memory access"
    }


def test_distillation_stores_as_many_outputs_of_the_teacher_whatever_the_steps(
    monkeypatch, tmp_path
):
    presets = []

    def run(command, **_):
        presets.append(load_preset(command[command.index("--student") + 1]).unet)
        time.sleep(presets[-1].steps / 400)

    monkeypatch.setattr(subprocess, "run", run)
    (figure,) = measure_distillation(tmp_path / "base", tmp_path, "unet-330m")
    assert [(unet.steps, unet.store, unet.batch_size) for unet in presets] == [
        (2, 2, 1),
        (42, 2, 1),
    ]
    assert figure.unit == "steps/s" and 100 < figure.value < 800


def test_a_distillation_that_took_no_longer_for_more_steps_has_no_speed(monkeypatch, tmp_path):
    pauses = iter((0.1, 0.0))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: time.sleep(next(pauses)))
    with pytest.raises(DmmError, match="42 steps took no longer than 2; run again"):
        list(measure_distillation(tmp_path / "base", tmp_path, "unet-330m"))


def test_nothing_begins_once_the_time_is_up(tiny_checkpoint, tmp_path):
    plan = MeasurementPlan(tiny_checkpoint, "nano", ("nano-cpu",), minutes=0.0)
    measured = measure_card(plan, tmp_path / "card.json")
    assert not measured.trainings and len(measured.missing) == 8
    assert not card_file().exists()


def test_the_table_compares_with_the_forecast_and_with_sd_scripts():
    measured = Measurements("a card", [TRAINED], [StockTraining("nano-cpu", 1.6, 900)])
    assert rows(measured) == [
        (
            "train nano-cpu",
            "2 s/step",
            "1200 MB, 1.20 of the forecast of 1000 MB; more than 10% off",
        ),
        ("sd-scripts nano-cpu", "1.6 s/step", "900 MB; ours takes 1.25 times as long"),
    ]


def test_without_a_gpu_a_base_must_be_named(tmp_path):
    with pytest.raises(InputError, match="name a --base to measure the CPU with"):
        measure_card(MeasurementPlan(), tmp_path / "card.json")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_whole_command_measures_everything(engine, tiny_checkpoint, tmp_path):
    out = tmp_path / "card.json"
    words = ["--base", str(tiny_checkpoint), "--format", "nano", "--out", str(out)]
    words += ["--preset", "nano-cpu", "--preset", "sdxl-12gb", "--student", "nano-quarter"]
    assert run_command(["bench", "card", *words, "--minutes", "60"]) == 0
    found = json.loads(out.read_text())
    assert found["not_measured"] == {}
    assert [training["preset"] for training in found["trainings"]] == ["nano-cpu", "sdxl-12gb"]
    assert found["sd-scripts"][0]["seconds_per_step"] > 0 and len(found["figures"]) == 7
