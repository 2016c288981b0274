"""``dmm distill --check``: what it forecasts, beside what a distillation really writes."""

import shutil
from collections import namedtuple

import pytest
from safetensors.torch import load_file

from dmm.checkpoints.network_shapes import UNET
from dmm.distillation.all_parts import PARTS
from dmm.distillation.forecast import forecast
from dmm.distillation.forecast_table import print_forecast
from dmm.distillation.parts import distil_unet, state_folder
from dmm.distillation.presets import DecoderPart, Preset, StepsPart, TextPart

TRAINING = {"steps": 2, "batch_size": 2, "learning_rate": 1e-3}


@pytest.fixture
def forecast_of(tiny_checkpoint, sources, tmp_path):
    """``forecast_of(preset)``: its forecast for the tiny teacher."""
    out = tmp_path / "student.safetensors"
    return lambda preset: forecast(preset, PARTS, tiny_checkpoint, (), sources, out)


def test_weights_and_disk_are_those_that_a_distillation_writes(
    forecast_of, part, tiny_checkpoint, sources, tmp_path
):
    preset = Preset(name="test", unet=part(store=4))
    found = forecast_of(preset).parts[0]
    out = distil_unet(tiny_checkpoint, (), preset, sources, tmp_path / "student.safetensors")
    weights = sum(t.numel() for name, t in load_file(out).items() if name.startswith(UNET))
    written = [out, *(path for path in state_folder(out).rglob("*") if path.is_file())]
    assert found.weights == weights
    assert found.disk == pytest.approx(sum(path.stat().st_size for path in written), rel=0.2)


def test_every_part_of_a_preset_has_a_row(forecast_of, part, capsys):
    preset = Preset(
        name="test", unet=part(), steps=StepsPart(**TRAINING, to=4),
        text_encoder_1=TextPart(**TRAINING, layers=2),
        text_encoder_2=TextPart(**TRAINING, layers=2),
        decoder=DecoderPart(**TRAINING, crop=64, widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1)),
    )  # fmt: skip
    found = forecast_of(preset)
    assert [row.name for row in found.parts] == list(PARTS)
    assert all(min(row.weights, row.disk, row.memory, row.seconds) > 0 for row in found.parts)
    assert found.memory == max(row.memory for row in found.parts)
    assert found.fits
    print_forecast(found)
    printed = capsys.readouterr().out
    assert all(name in printed for name in PARTS) and "error" not in printed


def test_stored_outputs_let_the_teacher_go_before_the_student_learns(forecast_of, part):
    stored, beside = (forecast_of(Preset(name="test", unet=part(store=n))).parts[0] for n in (4, 0))
    assert stored.memory < beside.memory


def test_a_full_disk_is_an_error(forecast_of, part, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1))
    found = forecast_of(Preset(name="test", unet=part()))
    print_forecast(found)
    assert not found.fits and "too little disk" in capsys.readouterr().out
