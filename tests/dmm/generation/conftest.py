"""Small generation settings, and a clip maker that tests vary."""

from dataclasses import replace

import pytest

from dmm.codec.mel import load_format
from dmm.generation.clip_maker import ClipMaker
from dmm.generation.loaded_model import LoadedModel
from dmm.generation.sampling import Sampling
from dmm.generation.settings import GenerationSettings

SMALL = load_format("nano").model_copy(update={"n_frames": 64})
"""1.28 seconds."""


@pytest.fixture
def settings():
    return GenerationSettings(SMALL, Sampling("euler", steps=2))


@pytest.fixture
def maker(tiny_checkpoint, settings, tmp_path):
    """``maker(batch_size=..., ranking=...)``: the tiny model, writing to ``tmp_path / "clips"``."""

    def make(model=tiny_checkpoint, precision="auto", **changes) -> ClipMaker:
        loaded = LoadedModel(model, device="cpu", precision=precision)
        return replace(ClipMaker(loaded, settings, tmp_path / "clips"), **changes)

    return make
