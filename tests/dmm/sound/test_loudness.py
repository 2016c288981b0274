import math

import numpy as np
import pyloudnorm
import pytest

from dmm.sound.loudness import LoudnessMeter, loudness_lufs

SR = 22050


def test_loudness_of_a_full_scale_997_hz_sine_is_minus_3_lufs():
    sound = np.sin(2 * np.pi * 997 * np.arange(4 * 48000) / 48000)[None]
    assert loudness_lufs(sound, 48000) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("sr", [22050, 44100, 48000])
def test_loudness_is_that_of_pyloudnorm(rng, sr):
    sound = np.cumsum(rng.normal(0, 0.01, (2, 6 * sr + 13)), axis=1)
    sound -= sound.mean(axis=1, keepdims=True)
    sound[:, sr : 3 * sr] *= 0.01  # below the relative gate
    expected = pyloudnorm.Meter(sr).integrated_loudness(sound.T)
    assert loudness_lufs(sound, sr) == pytest.approx(expected, abs=0.01)


def test_silence_and_sound_too_short_to_measure_have_no_loudness():
    assert loudness_lufs(np.zeros((1, SR)), SR) == -math.inf
    assert loudness_lufs(np.ones((2, 100)), SR) == -math.inf


def test_loudness_does_not_depend_on_the_blocks(rng):
    sound = rng.normal(0, 0.1, (2, 3 * SR)).astype(np.float32)
    meter = LoudnessMeter(SR, 2)
    for block in np.split(sound, [1, 2000, 2001, 40000], axis=1):
        meter.add(block)
    assert meter.integrated_lufs() == pytest.approx(loudness_lufs(sound, SR), abs=1e-4)
