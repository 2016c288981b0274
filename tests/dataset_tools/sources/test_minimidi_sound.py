"""MiniMIDI's synthesiser: level, pitch, onsets, timbres and effects."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from scipy import signal

from dataset_tools.sources.minimidi import BASE_STYLES, HELD_OUT_STYLES, Note, compose, render
from dataset_tools.sources.minimidi.effects import (
    CHORUS_DELAY_S,
    CHORUS_SWING_S,
    chorus_copy,
    record_noise,
    tape_wow,
)
from dataset_tools.sources.minimidi.instruments import INSTRUMENTS
from dataset_tools.sources.minimidi.styles import STYLES
from dataset_tools.sources.minimidi.tone import held_note

SR = 22_050


def solo(style, *notes):
    """A piece of these notes alone, coloured as its style is."""
    return dataclasses.replace(compose(1, style), notes=notes)


def sine(hz, duration_s=5.12):
    return np.tile(np.sin(2 * np.pi * hz * np.arange(round(duration_s * SR)) / SR), (2, 1)).astype(
        np.float32
    )


def centroid_hz(sound):
    power = np.square(np.abs(np.fft.rfft(sound)))
    return (np.fft.rfftfreq(len(sound), 1 / SR) * power).sum() / power.sum()


def test_a_seed_always_gives_the_same_bytes():
    first, second = (render(compose(7), SR).tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("style", [*BASE_STYLES, *HELD_OUT_STYLES])
def test_every_style_renders_finite_sound_of_exact_length_and_level(style):
    audio = render(compose(3, style), SR)
    rms_db = 10 * np.log10(np.square(audio).mean())
    assert audio.shape == (2, round(5.12 * SR))
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() <= 0.99
    assert -25 < rms_db < -16


def test_other_lengths_are_exact_too():
    assert render(compose(3, "folk", duration_s=7.3), SR).shape == (2, round(7.3 * SR))


@pytest.mark.parametrize("name", ["piano", "marimba", "music box", "pulse lead"])
def test_energy_rises_where_the_truth_puts_a_note(name):
    notes = tuple(Note(name, 72, start_s, 0.3, 100) for start_s in (0.5, 1.4, 2.9))
    level = np.abs(render(solo("chiptune", *notes), SR)).max(0)
    for note in notes:
        at, window = round(note.start_s * SR), round(0.03 * SR)
        assert level[at : at + window].max() > 20 * level[at - window : at].max() + 1e-6


@pytest.mark.parametrize("name", ["piano", "flute", "strings", "organ", "upright bass"])
def test_a_note_sounds_at_its_pitch(name):
    note = Note(name, 60 if name != "upright bass" else 36, 0.0, 5.0, 100)
    audio = render(solo("folk", note), SR).mean(0)
    spectrum = np.abs(np.fft.rfft(audio[: 2 * SR] * np.hanning(2 * SR)))
    f0 = 440 * 2 ** ((note.pitch - 69) / 12)
    at = round(f0 * 2)
    assert spectrum[at - 4 : at + 5].max() > 0.2 * spectrum.max()


@pytest.mark.parametrize("name", ["piano", "strings", "brass", "saw lead"])
def test_soft_keys_are_duller(name):
    soft, hard = (
        centroid_hz(render(solo("folk", Note(name, 60, 0.0, 2.0, velocity)), SR)[0])
        for velocity in (55, 65)
    )
    assert soft < 0.9 * hard


def timbre(name, pitch):
    """Levels in dB, at least -40: half octaves from below the pitch upward, and spans of time."""
    wave = np.zeros(2 * SR, np.float32)
    played = held_note(name, pitch, SR)[: 2 * SR]
    wave[: len(played)] = played
    power = np.square(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))))  # bins of 0.5 Hz
    edges = (2 * 440 * 2 ** ((pitch - 69) / 12) * 2 ** np.arange(-1.25, 4.3, 0.5)).astype(int)
    bands = np.array([power[low:high].sum() for low, high in pairwise(edges)])
    frames = np.square(wave).reshape(-1, SR // 50).sum(1)
    spans = np.array([span.mean() for span in np.split(frames, [1, 3, 6, 15, 40])])
    return np.concatenate(
        [np.maximum(10 * np.log10(x / x.max() + 1e-9), -40) for x in (bands, spans)]
    )


def test_every_timbre_is_nearest_to_itself_at_neighbouring_pitches():
    pitches = (58, 65, 72)
    known = {
        name: np.array([(timbre(name, p - 2) + timbre(name, p + 2)) / 2 for p in pitches])
        for name in INSTRUMENTS
    }
    assert len(known) >= 14
    for name in INSTRUMENTS:
        heard = np.array([timbre(name, p) for p in pitches])
        assert name == min(known, key=lambda other: np.square(heard - known[other]).sum())


def test_chorus_copies_lie_on_either_side_of_its_delay():
    pulses = np.zeros((2, SR), np.float32)
    pulses[:, [2000, 10_000]] = 1
    copies = chorus_copy(pulses, SR, 0.5)
    lags_s = (np.abs(copies[:, 2000:9000]).argmax(1)) / SR
    assert lags_s[0] != lags_s[1] and lags_s.mean() == pytest.approx(CHORUS_DELAY_S, abs=1e-4)
    assert np.abs(lags_s - CHORUS_DELAY_S).max() <= CHORUS_SWING_S + 1e-4
    assert not np.allclose(copies[0], copies[1])


def test_wow_bends_the_pitch_by_its_depth_and_keeps_it_on_average():
    depth, sound = 0.004, tape_wow(sine(1000), SR, 0.004, seed=3)[0, 1000:-1000]
    phase = np.unwrap(np.angle(np.asarray(signal.hilbert(sound))))
    hz = signal.savgol_filter(np.diff(phase) * SR / (2 * np.pi), 501, 1)[1000:-1000]
    assert hz.mean() == pytest.approx(1000, rel=5e-4)
    assert np.abs(hz / 1000 - 1).max() == pytest.approx(depth, rel=0.1)


def test_dub_echo_repeats_at_three_quarters_of_a_beat():
    piece = solo("dub techno", Note("dub chord", 60, 0.2, 0.1, 100))
    level = np.square(render(piece, SR)).sum(0).reshape(-1, 441).mean(1)  # 20 ms
    delay_s = STYLES["dub techno"].echo_beats * 60 / piece.tempo_bpm
    rises_s = 0.02 * (1 + np.flatnonzero(np.diff(10 * np.log10(level[:50] + 1e-12)) > 3))
    repeats = (rises_s - 0.2) / delay_s
    assert set(repeats.round()) >= {0, 1, 2}
    assert np.abs(repeats - repeats.round()).max() * delay_s <= 0.03


def test_record_noise_has_unit_rms_and_belongs_to_its_seed():
    noise = record_noise(5 * SR, SR, 1)
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(1, abs=0.1)
    assert np.abs(noise).max() <= 25
    assert noise.tobytes() == record_noise(5 * SR, SR, 1).tobytes()
    assert not np.array_equal(noise, record_noise(5 * SR, SR, 2))


def test_records_hiss_where_nothing_plays():
    style = next(style for style in STYLES.values() if style.vinyl)
    quiet = render(solo(style.name, Note("piano", 60, 4.0, 0.5, 100)), SR)[:, : 3 * SR]
    assert np.sqrt(np.square(quiet).mean()) == pytest.approx(style.vinyl, rel=0.15)
    assert np.allclose(*quiet, atol=1e-6)
