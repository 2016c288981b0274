from pathlib import Path

import numpy as np
import pytest
import soundfile

from dmm.errors import DmmError, InputError
from dmm.songs.mastering import limit_peaks, limiter_context, true_peaks, write_mastered
from dmm.sound.loudness import loudness_lufs

SR = 22050
FULL = Path("/dev/full")


def blocks(sound, size=5000):
    return (sound[:, t : t + size] for t in range(0, sound.shape[1], size))


@pytest.fixture
def drums(rng):
    """Short loud bursts over quiet noise: loudness that only a limiter can raise."""
    sound = 0.02 * rng.normal(size=(2, 4 * SR)).astype(np.float32)
    for start in range(0, 4 * SR, SR // 2):
        sound[:, start : start + 400] += 0.5 * rng.normal(size=(2, 400)).astype(np.float32)
    return np.clip(sound, -1, 1)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_every_file_type_holds_the_audio(tmp_path, suffix):
    sound = 0.4 * np.sin(2 * np.pi * 500 * np.arange(2 * SR) / SR, dtype=np.float32)[None]
    written = write_mastered(tmp_path / f"x{suffix}", blocks(sound), SR, 1)
    back, sr = soundfile.read(tmp_path / f"x{suffix}", dtype="float32", always_2d=True)
    assert sr == SR and written.duration_s == 2.0
    assert loudness_lufs(back.T, SR) == pytest.approx(written.loudness_lufs, abs=0.1)


@pytest.mark.parametrize("target", [-30.0, -14.0])
def test_loudness_is_met_below_the_ceiling(tmp_path, drums, target):
    written = write_mastered(tmp_path / "x.wav", blocks(drums), SR, 2, target)
    back = soundfile.read(tmp_path / "x.wav", dtype="float32")[0].T
    assert loudness_lufs(back, SR) == pytest.approx(target, abs=0.1)
    assert written.loudness_lufs == pytest.approx(target, abs=0.1)
    assert true_peaks(back).max() <= 10 ** (-1 / 20) + 0.005


def test_the_limiter_leaves_quiet_audio_unchanged(rng):
    sound = np.clip(0.1 * rng.normal(size=(1, 30000)), -0.3, 0.3).astype(np.float32)
    limited = np.concatenate(list(limit_peaks(blocks(sound), SR)), axis=1)
    np.testing.assert_allclose(limited, sound, rtol=1e-6)


def test_the_limiter_does_not_depend_on_the_blocks(drums):
    one, many = (
        np.concatenate(list(limit_peaks(blocks(3 * drums, size), SR)), axis=1)
        for size in (10**6, 777)
    )
    assert one.shape == drums.shape
    np.testing.assert_allclose(one, many, atol=1e-6)


def test_a_loop_is_limited_the_same_wherever_it_begins(drums):
    n, turned = limiter_context(SR), []
    for shift in (0, SR // 4 + 200):  # within a burst
        sound = np.roll(3 * drums, shift, axis=1)
        limited = limit_peaks(blocks(sound), SR, around=(sound[:, -n:], sound[:, :n]))
        turned.append(np.roll(np.concatenate(list(limited), axis=1), -shift, axis=1))
    np.testing.assert_allclose(*turned, atol=1e-5)


def test_a_peak_at_the_end_of_a_loop_attenuates_its_beginning(tmp_path, rng):
    sound = 0.05 * rng.normal(size=(1, 2 * SR)).astype(np.float32)
    sound[:, -40:] += 0.9
    beginnings = []
    for loop in (False, True):
        write_mastered(tmp_path / "x.wav", blocks(sound), SR, 1, -20.0, loop)
        beginnings.append(np.square(soundfile.read(tmp_path / "x.wav")[0][:40]).sum())
    assert beginnings[1] < 0.7 * beginnings[0]


def test_silence_stays_silence_at_any_target_loudness(tmp_path):
    written = write_mastered(tmp_path / "x.flac", [np.zeros((1, SR), np.float32)], SR, 1, -14.0)
    assert not soundfile.read(tmp_path / "x.flac")[0].any()
    assert written.gain_db == 0


def test_an_unknown_file_type_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"x\.ogg: sound is written as \.flac, \.wav, \.mp3"):
        write_mastered(tmp_path / "x.ogg", [], SR, 1)


@pytest.mark.parametrize("target", [None, -14.0])
@pytest.mark.skipif(not FULL.exists(), reason="a disk that is always full is Linux's")
def test_a_full_disk_is_an_error_of_one_line_and_leaves_no_file(
    tmp_path, monkeypatch, drums, target
):
    monkeypatch.setattr(Path, "open", lambda _, *how, **more: open(FULL, *how, **more))
    with pytest.raises(DmmError, match=r"x\.flac: the disk is full"):
        write_mastered(tmp_path / "x.flac", blocks(drums), SR, 2, target)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_stream_leaves_no_file(tmp_path):
    def stopped():
        yield np.zeros((1, 100), np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mastered(tmp_path / "x.wav", stopped(), SR, 1, -14.0)
    assert not list(tmp_path.iterdir())
