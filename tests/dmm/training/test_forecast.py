import json
from dataclasses import astuple, replace
from io import StringIO

import pytest
from rich.console import Console

from dmm.checkpoints.network_shapes import TextEncoderShapes
from dmm.checkpoints.sd15_shapes import Sd15Shapes
from dmm.checkpoints.sdxl_shapes import SdxlShapes
from dmm.pretraining.nano import NANO
from dmm.training.cost import Tariff
from dmm.training.facts import BaseFacts, DatasetFacts, Facts
from dmm.training.forecast.disk import DiskUse, disk_error, max_states, times_due_or_last
from dmm.training.forecast.duration import Calibration
from dmm.training.forecast.forecast import as_json, as_table, forecast, table_rows
from dmm.training.forecast.memory.estimate import CUDA_OVERHEAD_BYTES, GB
from dmm.training.forecast.memory.step import CountedStep
from dmm.training.forecast.needs import NEEDS, presets_that_fit
from dmm.training.presets import resolve

SDXL_SHAPES = SdxlShapes(
    latent_channels=4, model_channels=320, time_embed_dim=1280, adm_channels=2816,
    context_dim=2048, depths=(2, 10), te1=TextEncoderShapes(49408, 768, 3072, 12),
    te2=TextEncoderShapes(49408, 1280, 5120, 32), vae_channels=(128, 256, 512, 512), vae_layers=2,
)  # fmt: skip
SD15_SHAPES = Sd15Shapes(4, (320, 640, 1280, 1280), 1280, SDXL_SHAPES.te1, (128, 256, 512, 512), 2)
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
    base = BaseFacts(weight_bytes=4)
    return Facts("sdxl", replace(data, resolution=(256, 256)), base)


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
    assert max_states(resolve("nano-cpu", words), 1000) == count


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
    shown = dict(row[:2] for row in table_rows(found))
    assert shown["time"] == "2 h 00 min" and shown["steps"] == "1,000"
    console = Console(width=120, record=True, file=StringIO())
    console.print(as_table(found))
    text = console.export_text()
    assert all(row[0].strip() in text and row[1] in text for row in table_rows(found))


def test_without_a_dataset_nothing_is_forecast(tmp_path):
    with pytest.raises(ValueError, match="facts of a dataset"):
        forecast(resolve("nano-cpu"), Facts("sdxl"), NANO, tmp_path)


def test_moments_count_what_is_due_and_both_ends():
    assert [times_due_or_last(n, 4) for n in (3, 4, 5, 8)] == [1, 1, 2, 2]


def test_energy_and_money_follow_from_the_time_and_need_it(make):
    tariff = Tariff.parse("0.50/kWh", 360.0)
    found = make(*WORDS, calibration=Calibration(7.2, 900, "a card"), tariff=tariff)
    kilowatt_hours = 0.36 * found.duration.total / 3600
    shown = {name: (amount, basis) for name, amount, basis in table_rows(found)}
    assert shown["energy"] == (f"{kilowatt_hours:.3g} kWh", "at 360 W")
    assert shown["cost"] == (f"{kilowatt_hours / 2:.2f}", "at 0.5/kWh")
    assert as_json(found)["cost"]["money"] == pytest.approx(kilowatt_hours / 2)
    untimed = {name: basis for name, _, basis in table_rows(make(*WORDS, tariff=tariff))}
    assert untimed["cost"].startswith("--calibrate times three steps")


def test_ram_holds_the_networks_twice_only_while_they_are_read(make, facts):
    on_gpu, alone = make(vram_gb=24.0).ram, make().ram
    float32, stored = 4, 4  # nano-cpu computes in single precision, as nano is stored
    networks = (FOUND.unet + FOUND.text + FOUND.vae) * float32
    assert on_gpu.phases == {"loading": networks + (FOUND.text + FOUND.vae) * stored}
    assert on_gpu.processes > alone.processes
    assert alone.phases["a step"] >= networks + FOUND.step


def test_text_encoders_stay_in_single_precision_once_their_outputs_are_cached(make):
    words = ("cache_text_encoder_outputs=true", "dataset_shuffle=false")
    kept, usual = make(*words).ram.phases, make().ram.phases
    # on a CPU they take as much without a cache, in the precision of nano-cpu
    assert kept["a step"] == usual["a step"]
    assert kept["caching captions"] == 4 * (FOUND.unet + FOUND.text + FOUND.vae)


def test_the_engine_loads_sd15_beside_its_whole_file(facts, tmp_path):
    known = Facts("sd15", facts.dataset, facts.base)
    sd15 = forecast(resolve("sd15-12gb"), known, SD15_SHAPES, tmp_path)
    stored, float32 = 4, 4
    networks = FOUND.unet + FOUND.text + FOUND.vae
    assert sd15.ram.phases["loading"] == networks * (stored + float32)


def test_too_little_ram_is_a_warning_with_ways_out(make, monkeypatch):
    monkeypatch.setattr("dmm.training.forecast.forecast.installed_ram_bytes", lambda: GB)
    found = make()
    assert [(finding.rule, finding.severity) for finding in found.findings] == [
        ("too-little-ram", "warning")
    ]
    assert "this machine has 1.0 GB: add swap" in found.findings[0].message
    shown = {row[0]: row[2] for row in table_rows(found)}
    assert shown["RAM, about"].startswith("this machine has 1.0 GB; most is for")


def test_presets_are_named_as_far_as_ram_and_gpu_reach():
    assert presets_that_fit(16 * GB, 12 * GB) == list(NEEDS)
    assert presets_that_fit(16 * GB, 8 * GB) == ["sdxl-12gb", "sd15-12gb"]
    assert presets_that_fit(11 * GB, 24 * GB) == ["sd15-12gb"]
    assert presets_that_fit(12 * GB, None) == list(NEEDS) and presets_that_fit(GB, None) == []
    assert presets_that_fit(11 * GB, None) == ["sdxl-24gb", "sdxl-16gb", "sd15-12gb"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
def test_what_the_doctor_says_of_a_preset_is_its_forecast(name, monkeypatch, tmp_path):
    monkeypatch.undo()  # of what replaces the counting
    kind = "sd15" if name.startswith("sd15") else "sdxl"
    facts = Facts(
        kind,
        DatasetFacts(n_train=50, n_val=8, format="sdxl-512", resolution=(512, 512)),
        BaseFacts(weight_bytes=2),
    )
    shapes = {"sdxl": SDXL_SHAPES, "sd15": SD15_SHAPES}[kind]
    beside = forecast(resolve(name), facts, shapes, tmp_path, vram_gb=24.0)
    alone = forecast(resolve(name, ["optimizer_type=AdamW"]), facts, shapes, tmp_path)
    found = (beside.memory.total / GB, beside.ram.total / GB, alone.ram.total / GB)
    assert found == pytest.approx(astuple(NEEDS[name]), abs=0.15)
