"""The time of a training, forecast from what was measured of this machine's card."""

from dataclasses import replace

import pytest

from dmm.devices import device_name
from dmm.errors import InputError
from dmm.training.facts import BaseFacts, DatasetFacts, Facts
from dmm.training.forecast.card import (
    MeasuredCard,
    MeasuredTraining,
    card_file,
    read_card_file,
    speed_by_card,
    write_card_file,
)
from dmm.training.presets import resolve

DATA = DatasetFacts(n_train=50, resolution=(512, 512))
FACTS = Facts("sdxl", DATA, BaseFacts(width=320))
MEASURED = MeasuredTraining(
    preset="sdxl-24gb", architecture="sdxl", width=320, clips=2, pixels=512 * 512,
    checkpointing=True, seconds_per_step=0.5, peak_memory_mb=9000, forecast_memory_mb=9100,
)  # fmt: skip


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Store trainings of this device."""
    monkeypatch.setenv("DMM_CONFIG", str(tmp_path))
    return lambda *found, on=None: write_card_file(
        MeasuredCard(on or device_name(), found), card_file()
    )


def test_a_measured_preset_is_forecast_as_it_was_measured(measured):
    measured(replace(MEASURED, preset="sdxl-16gb", seconds_per_step=9.0), MEASURED)
    speed = speed_by_card(resolve("sdxl-24gb"), FACTS)
    assert speed and speed.seconds_per_step == pytest.approx(0.5) and not speed.measured


def test_other_settings_are_forecast_in_proportion_to_their_pixels(measured):
    measured(MEASURED)
    large = replace(FACTS, dataset=replace(DATA, resolution=(1024, 1024)))
    words = ["train_batch_size=3", "gradient_accumulation_steps=2"]
    speed = speed_by_card(resolve("sdxl-24gb", words), large)
    assert speed and speed.seconds_per_step == pytest.approx(0.5 * 3 * 4)


def test_nothing_is_forecast_from_another_device_base_or_kind_of_step(measured):
    settings = resolve("sdxl-24gb")
    assert speed_by_card(settings, FACTS) is None
    measured(MEASURED, on="another card")
    assert speed_by_card(settings, FACTS) is None
    measured(MEASURED)
    assert speed_by_card(settings, replace(FACTS, base=BaseFacts(width=32))) is None
    assert speed_by_card(resolve("sdxl-24gb", ["gradient_checkpointing=false"]), FACTS) is None


def test_a_file_of_another_version_is_refused_with_the_remedy(measured):
    measured(MEASURED)
    assert read_card_file(card_file()).trainings == (MEASURED,)
    card_file().write_text(card_file().read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(InputError, match="of version 2; run dmm bench card again"):
        read_card_file(card_file())
    card_file().write_text('{"version": 1, "device": "x", "trainings": [{}]}')
    with pytest.raises(InputError, match="damaged"):
        read_card_file(card_file())
