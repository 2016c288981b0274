"""A small recipe, and an order of it that tests vary."""

from dataclasses import replace

import pytest

from dmm.codec.mel import load_format
from dmm.generation.making import Order
from dmm.generation.recipe import Recipe
from dmm.generation.sampling import Sampling

SMALL = load_format("nano").model_copy(update={"n_frames": 64})
"""1.28 seconds."""


@pytest.fixture
def recipe():
    return Recipe(SMALL, Sampling("euler", steps=2))


@pytest.fixture
def order(tiny_checkpoint, recipe, tmp_path):
    """``order(recipe=..., ranking=...)``: clips of the tiny model in ``tmp_path / "clips"``."""

    def make(**changes) -> Order:
        return replace(Order(tiny_checkpoint, recipe, tmp_path / "clips"), **changes)

    return make
