import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from dmm.pretraining.nano import NANO
from dmm.training.facts import DatasetFacts, Facts
from dmm.training.forecast.disk import DiskUse, disk_error, kept_states, times_due_or_last
from dmm.training.forecast.duration import Calibration
from dmm.training.forecast.forecast import as_json, forecast, rows, table
from dmm.training.forecast.memory.estimate import CUDA_OVERHEAD_BYTES, GB
from dmm.training.forecast.memory.step import CountedStep
from dmm.training.presets import resolve

FOUND = CountedStep(
    lora=(((32, 1000), 2), ((1000, 32), 2)),
    lora_modules=2,
    unet=10**6,
    text=10**5,
    vae=10**4,
    step=5 * 10**6,
    encoding=1,
    decoding=1,
)
TRAINED = 4 * 32 * 1000
WORDS = ("max_train_steps=1000", "save_every_n_steps=300", "save_state=true", "save_precision=fp16")


@pytest.fixture(autouse=True)
def no_measuring(monkeypatch):
    for module in ("forecast", "memory.estimate"):
        monkeypatch.setattr(f"dmm.training.forecast.{module}.counted_step", lambda step: FOUND)
    monkeypatch.setattr("dmm.training.forecast.forecast.installed_gpu_bytes", lambda: None)


@pytest.fixture
def facts():
    data = DatasetFacts(n_train=50, n_reg=30, n_val=8, repeats=2, format="nano")
    return Facts("sdxl", replace(data, resolution=(256, 256)))


@pytest.fixture
def make(facts, tmp_path):
    """The forecast of nano-cpu with settings on top."""

    def made(*words: str, **named):
        return forecast(resolve("nano-cpu", words), facts, NANO, tmp_path / "run", **named)

    return made


def test_steps_go_so_often_through_the_clips(make):
    found = make(*WORDS, "train_batch_size=4", "gradient_accumulation_steps=2")
    # 50 clips twice and as many to regularise with: 200 an epoch, 8 a step
    assert (found.steps, found.clips, found.epochs, found.times_seen) == (1000, 8000, 40.0, 80.0)


def test_epochs_are_counted_in_steps(make):
    assert make("max_train_epochs=3", "train_batch_size=4", "max_train_steps=").steps == 3 * 50


def test_every_file_of_a_run_is_counted(make):
    words = ("save_last_n_steps_state=2", "validate_every_n_steps=300")
    space = make(*WORDS, *words, "optimizer_type=AdamW").disk
    assert space.lora_files == 3 + 1 + 1  # every 300 steps, the last, the best
    assert space.lora_bytes == pytest.approx(2 * TRAINED, rel=0.01)
    assert space.states == 2 + 1  # of four, three are there while one is written
    # weights, two moments of each, and the best LoRA so far
    assert space.state_bytes == pytest.approx((4 + 8 + 2) * TRAINED, rel=0.01)


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ((), 0),
        (("save_state_on_train_end=true",), 1),
        (("save_state=true",), 1),
        (("save_state=true", "save_every_n_steps=250"), 4),
        (("save_state=true", "save_every_n_steps=300"), 4),
        (("save_state=true", "save_every_n_steps=500", "save_last_n_steps_state=5"), 2),
    ],
)
def test_states_are_those_that_lie_there_at_once(words, count):
    assert kept_states(resolve("nano-cpu", words), 1000) == count


def test_previews_take_at_most_their_pixels_and_samples_twice(make):
    words = ("preview_every_n_steps=400", "preview_count=3", 'preview_prompts=["piano", "organ"]')
    space = make(*WORDS, *words).disk
    assert space.previews == 4  # before the first step, after 400, 800 and the last
    assert space.preview_bytes == 6 * 2 * (256 * 256 + 2 * 112896)


def test_averaged_weights_are_kept_in_each_state(make):
    plain, averaged = make(*WORDS).disk, make(*WORDS, "ema_decay=0.99").disk
    assert averaged.state_bytes - plain.state_bytes == 4 * TRAINED


def test_a_full_disk_is_an_error_that_names_the_largest_part(make, monkeypatch, tmp_path):
    assert make(*WORDS).findings == ()
    monkeypatch.setattr("dmm.training.forecast.disk.free_bytes", lambda folder: 10**6)
    (finding,) = make(*WORDS).findings
    assert (finding.rule, finding.severity) == ("no-space", "error")
    assert "most is for 4 states of" in finding.message
    assert "save_every_n_steps = 300 (--set)" in finding.message


def test_a_run_that_just_fits_is_let_pass(tmp_path):
    space = DiskUse(
        lora_files=1, lora_bytes=10, states=0, state_bytes=0, previews=0, preview_bytes=0, free=10
    )
    assert disk_error(resolve("nano-cpu"), space, tmp_path) is None
    assert disk_error(resolve("nano-cpu"), replace(space, free=9), tmp_path)


def test_memory_is_compared_with_the_gpu_that_is_named(make):
    fits, tight = make(vram_gb=24.0), make(vram_gb=1.0)
    assert fits.gpu_bytes == 24 * GB and fits.findings == ()
    assert tight.findings[0].rule == "too-much-memory"
    assert tight.memory.total == tight.memory.allocated + CUDA_OVERHEAD_BYTES > GB


def test_time_is_forecast_once_a_step_was_measured(make):
    assert make(*WORDS).duration is None
    took = make(*WORDS, calibration=Calibration(2.0, 900, "a card")).duration
    assert took and (took.steps, took.total) == (2000.0, 2000.0)


def test_the_table_and_the_json_say_the_same(make):
    found = make(*WORDS, vram_gb=12.0, calibration=Calibration(7.2, 900, "a card"))
    values = json.loads(json.dumps(as_json(found)))
    assert values["memory"]["total"] == found.memory.total
    assert values["disk"]["total"] == found.disk.total
    shown = dict(row[:2] for row in rows(found))
    assert shown["time"] == "2 h 00 min" and shown["steps"] == "1,000"
    console = Console(width=120, record=True, file=StringIO())
    console.print(table(found))
    text = console.export_text()
    assert all(row[0].strip() in text and row[1] in text for row in rows(found))


def test_without_a_dataset_nothing_is_forecast(tmp_path):
    with pytest.raises(ValueError, match="facts of a dataset"):
        forecast(resolve("nano-cpu"), Facts("sdxl"), NANO, tmp_path)


def test_moments_count_what_is_due_and_both_ends():
    assert [times_due_or_last(n, 4) for n in (3, 4, 5, 8)] == [1, 1, 2, 2]
