import numpy as np
import pytest
from PIL import Image

from eval.metrics.likeness import picture_likeness


@pytest.fixture
def picture(rng):
    return rng.integers(0, 200, (64, 256)).astype(np.uint8)


def test_a_shifted_and_quieter_copy_is_the_same_sound(picture):
    copy = (np.roll(picture, 37, axis=1) * 0.5).astype(np.uint8)
    assert picture_likeness(Image.fromarray(picture), Image.fromarray(copy)) > 0.99


def test_other_moments_of_one_timbre_are_not(picture, rng):
    tilt = np.linspace(255, 0, 64)[:, None]
    one, two = (0.5 * tilt + 0.5 * x for x in (picture, rng.permuted(picture, axis=1)))
    images = [Image.fromarray(x.astype(np.uint8)) for x in (one, two)]
    assert picture_likeness(*images) < 0.1


def test_pictures_of_two_formats_are_compared_in_one_size(picture):
    small = Image.fromarray(picture)
    large = small.resize((512, 512), Image.Resampling.NEAREST)
    assert picture_likeness(large, small) == pytest.approx(1, abs=1e-6)


def test_silence_is_like_nothing(picture):
    silent = Image.fromarray(np.zeros((64, 256), np.uint8))
    assert picture_likeness(silent, Image.fromarray(picture)) == 0
