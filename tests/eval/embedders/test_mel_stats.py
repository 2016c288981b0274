import numpy as np
import pytest
import soundfile

from eval.embedders.spectral import (
    FRAME_RATE_HZ,
    PULSE_EDGES_HZ,
    MelStats,
    mel_stats_descriptor,
    pulse_spectrum_db,
)


def test_rows_have_unit_length_and_come_out_the_same_twice(clips):
    files = sorted(clips.glob("*.flac"))
    rows = MelStats().embed(files)
    assert rows.dtype == np.float32
    assert rows.shape == (6, MelStats.dim)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)
    assert rows.tobytes() == MelStats().embed(files).tobytes()


def test_gain_does_not_change_the_description(pulses):
    assert mel_stats_descriptor(pulses(4) * 0.1) == pytest.approx(
        mel_stats_descriptor(pulses(4)), abs=1e-4
    )


@pytest.mark.parametrize("n_samples", [0, 1, 300, 22050])
def test_silence_of_any_length_has_a_finite_unit_description(n_samples):
    assert np.linalg.norm(mel_stats_descriptor(np.zeros(n_samples, np.float32))) == pytest.approx(1)


def test_like_sounds_lie_nearer_than_unlike_ones(tone, pulses):
    tones = [mel_stats_descriptor(tone(hz)) for hz in (220, 262, 330)]
    beats = [mel_stats_descriptor(pulses(rate, seed)) for seed, rate in enumerate((4, 5, 6))]
    within = [*(np.triu(np.array(x) @ np.array(x).T, 1).ravel() for x in (tones, beats))]
    across = np.array(tones) @ np.array(beats).T
    assert min(v for x in within for v in x if v) > across.max()


@pytest.mark.parametrize("octave", range(len(PULSE_EDGES_HZ) - 1))
def test_a_pulse_shows_in_its_octave_with_its_size(octave):
    rate_hz = np.sqrt(PULSE_EDGES_HZ[octave] * PULSE_EDGES_HZ[octave + 1])
    swing = 6 * np.sin(2 * np.pi * rate_hz * np.arange(800) / FRAME_RATE_HZ)
    found = pulse_spectrum_db(np.tile(swing, (64, 1)))[0]
    assert found[octave] == pytest.approx(6 / np.sqrt(2), rel=0.05)
    assert np.delete(found, octave).max() < 0.5


def test_a_change_of_the_numbers_needs_a_new_version(tmp_path, tone):
    """Cached rows and published scores name the version: raise it when this fails."""
    soundfile.write(tmp_path / "a.wav", tone(220), 22050, subtype="FLOAT")
    row = MelStats().embed([tmp_path / "a.wav"])[0]
    assert MelStats.identity.code == 1
    assert row[[0, 70, 140, 200]] == pytest.approx([-0.1323, -0.0370, -0.0442, -0.0399], abs=2e-4)
