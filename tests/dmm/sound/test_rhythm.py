import numpy as np
import pytest

from dmm.codec.mel import load_format, mel_magnitude
from dmm.sound.rhythm import beat_period, fit_beat_comb, mel_onsets

NANO = load_format("nano")
RATE = NANO.sr / NANO.hop_length


def clicks(bpm, first_s=0.2, seconds=6):
    """Bursts of decaying noise on every beat, as mel magnitudes."""
    rng, sound = np.random.default_rng(0), np.zeros(int(seconds * RATE) * NANO.hop_length)
    hit = rng.normal(size=2000) * np.exp(-np.arange(2000) / 300)
    for start in np.arange(first_s, seconds - 0.1, 60 / bpm):
        sound[int(start * NANO.sr) :][:2000] += 0.1 * hit
    return mel_magnitude(sound, NANO)


@pytest.mark.parametrize("bpm", [80, 100, 132])
def test_tempo_and_first_beat_of_clicks_are_found_in_the_picture(bpm):
    onsets = mel_onsets(clicks(bpm))
    period = beat_period(onsets, RATE)
    assert period == pytest.approx(60 * RATE / bpm, abs=1)
    first, exact = fit_beat_comb(onsets, period, RATE)
    assert exact == pytest.approx(60 * RATE / bpm, abs=0.3)
    assert first == pytest.approx(0.2 * RATE % exact, abs=2.5)


def test_what_does_not_repeat_has_no_beat(rng):
    assert beat_period(mel_onsets(np.ones((256, 300), np.float32)), RATE) is None
    assert beat_period(rng.random(300), RATE) is None
    assert beat_period(np.ones(20), RATE) is None
