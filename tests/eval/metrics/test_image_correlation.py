import numpy as np
import pytest
from PIL import Image

from eval.metrics.image_correlation import image_correlation


@pytest.fixture
def image(rng):
    return rng.integers(0, 200, (64, 256)).astype(np.uint8)


def test_a_shifted_and_quieter_copy_is_the_same_sound(image):
    copy = (np.roll(image, 37, axis=1) * 0.5).astype(np.uint8)
    assert image_correlation(Image.fromarray(image), Image.fromarray(copy)) > 0.99


def test_other_moments_of_one_timbre_are_not(image, rng):
    tilt = np.linspace(255, 0, 64)[:, None]
    one, two = (0.5 * tilt + 0.5 * x for x in (image, rng.permuted(image, axis=1)))
    images = [Image.fromarray(x.astype(np.uint8)) for x in (one, two)]
    assert image_correlation(*images) < 0.1


def test_images_of_two_formats_are_compared_in_one_size(image):
    small = Image.fromarray(image)
    large = small.resize((512, 512), Image.Resampling.NEAREST)
    assert image_correlation(large, small) == pytest.approx(1, abs=1e-6)


def test_silence_has_no_correlation(image):
    silent = Image.fromarray(np.zeros((64, 256), np.uint8))
    assert image_correlation(silent, Image.fromarray(image)) == 0
