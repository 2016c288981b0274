import numpy as np
import pytest

from dataset_tools.beats import first_beat


def clicks(sr, bpm, first_s, rng, duration_s=6.0):
    sound = rng.normal(0, 1e-3, (1, round(duration_s * sr)))
    burst = 0.5 * np.exp(-np.arange(800) / 150) * rng.normal(size=800)
    for time_s in np.arange(first_s, duration_s - 0.05, 60 / bpm):
        sound[0, round(time_s * sr) :][:800] += burst[: sound.shape[1] - round(time_s * sr)]
    return sound.astype(np.float32)


@pytest.mark.parametrize("sr", [22050, 44100])
@pytest.mark.parametrize("bpm", [66, 90, 120, 171])
@pytest.mark.parametrize("first_s", [0.05, 0.2, 0.31])
def test_first_click_is_found_within_10_ms(rng, sr, bpm, first_s):
    found_s = first_beat(clicks(sr, bpm, first_s, rng), sr) / sr
    # A fast pulse is heard at half its tempo too: every second click is a beat.
    assert (found_s - first_s + 0.1) % (60 / bpm) == pytest.approx(0.1, abs=0.01)
    assert found_s < 2 * 60 / bpm


def test_without_a_pulse_the_segment_begins_where_it_is(rng):
    sr = 22050
    noise = rng.normal(0, 0.1, (1, 5 * sr)).astype(np.float32)
    held = np.sin(2 * np.pi * 220 * np.arange(5 * sr) / sr).astype(np.float32)[None]
    for sound in (noise, held, np.zeros_like(noise), noise[:, :100], noise[:, :0]):
        assert first_beat(sound, sr) == 0


def test_silence_before_the_music_delays_the_beat(rng):
    sr = 22050
    sound = clicks(sr, 100, 0.1, rng)
    later = np.pad(sound, ((0, 0), (round(0.2 * sr), 0)))
    assert first_beat(later, sr) - first_beat(sound, sr) == pytest.approx(0.2 * sr, abs=0.01 * sr)
