import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dmm.errors import EngineError
from dmm.pretraining.nano import NANO
from dmm.training.facts import DatasetFacts, Facts
from dmm.training.forecast.duration import (
    Calibration,
    calibrate,
    copy_first_clips,
    estimate_duration,
)
from dmm.training.presets import resolve
from dmm.training.run_inputs import RunInputs

OUTCOME = {"status": "finished", "seconds_per_step": 1.5, "peak_memory_mb": 800, "device": "a card"}
WORDS = (
    "train_batch_size=2", "gradient_accumulation_steps=2", "max_train_steps=500",
    "preview_every_n_steps=100", "validate_every_n_steps=100", "save_state=true",
    "save_every_n_steps=100", "learning_rate=0.02",
)  # fmt: skip


@pytest.fixture
def inputs(tmp_path):
    """A run on thirty clips, five to regularise with and three to validate on."""
    data = tmp_path / "data"
    for folder, count in (("train", 30), ("reg", 5), ("val", 3)):
        (data / folder).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(data / folder / f"{number:02}.png")
            (data / folder / f"{number:02}.txt").write_text("piano")
    subsets = '[[datasets.subsets]]\nimage_dir = "{}"\nis_reg = {}\n'
    config = subsets.format("train", "false") + subsets.format("reg", "true")
    (data / "dataset.toml").write_text(f"[[datasets]]\nresolution = 8\n{config}")
    (data / "dataset.json").write_text(json.dumps({"options": {"anchor": "mel music"}}))
    facts = Facts("sdxl", DatasetFacts(n_train=30, n_reg=5, n_val=3, resolution=(8, 8)))
    return RunInputs(resolve("nano-cpu", WORDS), data, tmp_path / "base.safetensors", NANO, facts)


def test_three_steps_are_run_with_the_settings_and_nothing_beside(inputs):
    seen = {}

    def train(run: Path) -> dict:
        seen["run"] = run
        seen["engine"] = tomllib.loads((run / "engine.toml").read_text())
        config = tomllib.loads((run / "dataset.toml").read_text())
        folders = [Path(s["image_dir"]) for d in config["datasets"] for s in d["subsets"]]
        seen["clips"] = [len(list(folder.glob("*.png"))) for folder in folders]
        seen["captions"] = len(list(folders[0].glob("*.txt")))
        return OUTCOME

    assert calibrate(inputs, train) == Calibration(1.5, 800, "a card")
    engine = seen["engine"]
    assert (engine["max_train_steps"], engine["learning_rate"]) == (3, 0.02)
    assert not {"preview_every_n_steps", "validate_every_n_steps", "save_state"} & set(engine)
    assert seen["clips"] == [12, 5]  # three steps of two batches of two; no validation
    assert seen["captions"] == 12
    assert not seen["run"].exists()


def test_steps_that_fail_say_why(inputs):
    with pytest.raises(EngineError, match="did not finish: out of memory"):
        calibrate(inputs, lambda run: {"seconds_per_step": None, "reason": "out of memory"})


def test_the_dataset_that_was_given_stays_as_it_is(inputs, tmp_path):
    config = {"datasets": [{"subsets": [{"image_dir": str(inputs.dataset / "train")}]}]}
    few = copy_first_clips(config, 3, tmp_path / "few")
    assert config["datasets"][0]["subsets"][0]["image_dir"] == str(inputs.dataset / "train")
    names = sorted(p.name for p in Path(few["datasets"][0]["subsets"][0]["image_dir"]).iterdir())
    assert names == ["00.png", "00.txt", "01.png", "01.txt", "02.png", "02.txt"]


def test_validation_and_previews_are_ways_forward_of_the_same_speed(inputs):
    words = (
        "preview_count=2", 'preview_prompts=["a", "b"]', "preview_steps=10", "preview_guidance=5",
    )  # fmt: skip
    settings = resolve("nano-cpu", (*WORDS, *words))
    took = estimate_duration(settings, inputs.facts, Calibration(8.0, 1, "a card"))
    forward = 8.0 / (2 * 2 * 2)  # two batches of two clips, there and back
    assert took.steps == 500 * 8.0
    assert took.validation == 6 * 4 * 5 * forward  # six times a batch of four at five timesteps
    assert took.previews == 6 * 4 * 10 * 2 * forward  # six times four clips, guided
    assert took.total == took.steps + took.validation + took.previews


def test_checkpointing_goes_forward_twice(inputs):
    settings = resolve("nano-cpu", (*WORDS, "gradient_checkpointing=true"))
    plain = estimate_duration(inputs.settings, inputs.facts, Calibration(6.0, 1, "a card"))
    took = estimate_duration(settings, inputs.facts, Calibration(6.0, 1, "a card"))
    assert took.validation == pytest.approx(plain.validation * 2 / 3)
