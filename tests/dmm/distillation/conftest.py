"""A teacher of nano's sizes with random weights, a little dataset, and a preset for both."""

import json

import numpy as np
import pytest

from dmm.distillation.parts import Sources
from dmm.distillation.presets import UnetPart, UnetSizes
from dmm.distillation.teacher import Teacher
from dmm.fitting.compute import Compute

SMALL = UnetSizes(
    channels=(16, 32, 32), depths=(0, 1, 1), layers=1, middle="none", groups=8, size_width=8
)
CAPTIONS = ("piano, slow", "flute and strings, fast", "organ, dark, slow", "drums, fast")


@pytest.fixture(scope="session")
def compute():
    return Compute("cpu", "fp32")


@pytest.fixture(scope="session")
def teacher(tiny_checkpoint, compute):
    return Teacher(tiny_checkpoint, (), compute)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with what distillation reads of a DATASET: four noisy pictures, their captions."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split in ("train", "test"):
        (folder / split).mkdir()
        for number, caption in enumerate(CAPTIONS):
            levels = rng.integers(0, 255, (256, 256)).astype(np.uint8)
            Image.fromarray(levels).save(folder / split / f"{number}.png")
            (folder / split / f"{number}.txt").write_text(caption)
    built = {"format": {"name": "nano"}, "options": {"anchor": "mel music"}}
    (folder / "dataset.json").write_text(json.dumps(built))
    return folder


@pytest.fixture
def sources(data, compute):
    """The little dataset as training data."""
    return Sources(data, None, 0, compute)


@pytest.fixture
def part():
    """``part(**changes)``: a UNet's part of a preset, two steps long."""

    def make(**changes) -> UnetPart:
        known = {"steps": 2, "batch_size": 2, "learning_rate": 1e-3, "sizes": SMALL, "variants": 1}
        return UnetPart(**{**known, **changes})

    return make
