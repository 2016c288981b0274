"""Tempo, key, brightness and density of sounds whose facts are known."""

import numpy as np
import pytest

from dataset_tools.sound_facts import measure_sound_facts

SR = 22050


def notes(midi, seconds, partials=4):
    """Notes one after another, each with its harmonics and a sharp attack."""
    t = np.arange(round(seconds * SR)) / SR
    tones = [
        sum(
            np.sin(2 * np.pi * n * 440 * 2 ** ((m - 69) / 12) * t) / n**2
            for n in range(1, partials)
        )
        for m in midi
    ]
    return np.concatenate([tone * np.exp(-3 * t) for tone in tones]).astype(np.float32)


@pytest.mark.parametrize(
    ("tonic", "scale", "key"),
    [
        (60, (0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0), "C major"),
        (57, (0, 2, 3, 5, 7, 8, 11, 12, 7, 3, 0), "A minor"),
        (66, (0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0), "F# major"),
    ],
)
def test_the_key_of_a_scale_and_its_triad_is_found(tonic, scale, key):
    assert measure_sound_facts(notes([tonic + step for step in scale], 0.5), SR).key == key


def test_clicks_give_their_tempo_and_density():
    clicks = np.zeros(5 * SR, np.float32)
    clicks[:: round(0.5 * SR)] = 1
    clicks = np.convolve(clicks, np.exp(-np.arange(400) / 40) * np.sin(np.arange(400)))[: 5 * SR]
    facts = measure_sound_facts(clicks.astype(np.float32), SR)
    assert facts.tempo_bpm == pytest.approx(120, rel=0.02)
    assert facts.density == pytest.approx(2, abs=0.3)


def test_a_higher_sine_is_brighter():
    t = np.arange(3 * SR) / SR
    low, high = (
        measure_sound_facts(np.sin(2 * np.pi * hz * t).astype(np.float32), SR) for hz in (200, 3000)
    )
    assert low.brightness_hz < 400 < 2800 < high.brightness_hz
    assert low.tempo_bpm is None
