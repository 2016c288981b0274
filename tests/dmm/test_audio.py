import errno
import math
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from dmm.audio import loudness_lufs, read_audio, write_audio
from dmm.errors import DmmError, InputError

SR = 22050


@pytest.fixture
def sine():
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(SR) / SR)[None]


def assert_refused(path, match):
    with pytest.raises(InputError, match=match) as caught:
        read_audio(path, SR, 1)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_sixteen_bits_come_back(tmp_path, sine, suffix):
    path = tmp_path / f"a{suffix}"
    write_audio(path, sine, SR)
    assert soundfile.info(path).subtype == "PCM_16"
    np.testing.assert_allclose(read_audio(path, SR, 1), sine, atol=1e-4)


def test_samples_beyond_full_scale_are_clipped_not_wrapped(tmp_path):
    write_audio(tmp_path / "a.wav", np.array([[2.0, -2.0, 1.0, -1.0]]), SR)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", SR, 1)[0], [1, -1, 1, -1], atol=1e-4)


def test_no_half_file_is_left_and_other_suffixes_are_refused(tmp_path, sine):
    for path, sound in ((tmp_path / "a.mp3", sine), (tmp_path / "a.wav", sine * np.nan)):
        with pytest.raises(ValueError):
            write_audio(path, sound, SR)
    assert not list(tmp_path.iterdir())


def test_another_rate_is_resampled(tmp_path, sine):
    write_audio(tmp_path / "a.wav", sine, SR)
    double = read_audio(tmp_path / "a.wav", 2 * SR, 1)
    assert double.shape == (1, 2 * SR)
    np.testing.assert_allclose(double[0, 2000:-2000:2], sine[0, 1000:-1000], atol=2e-3)


def test_channels_become_what_is_asked_for(tmp_path, sine):
    both = np.concatenate([sine, np.zeros_like(sine)])
    write_audio(tmp_path / "mono.wav", sine, SR)
    write_audio(tmp_path / "stereo.wav", both, SR)
    copies = read_audio(tmp_path / "mono.wav", SR, 2)
    assert copies.shape == (2, SR) and (copies[0] == copies[1]).all()
    np.testing.assert_allclose(read_audio(tmp_path / "stereo.wav", SR, 1), sine / 2, atol=1e-4)


def test_six_channels_keep_their_sides_and_do_not_clip(tmp_path):
    surround = np.ones((6, 1000))
    surround[[1, 5]] = 0
    soundfile.write(tmp_path / "a.wav", surround.T, SR)
    left, right = read_audio(tmp_path / "a.wav", SR, 2)[:, 500]
    # Left, centre and left surround of 1 + 2 sqrt(1/2); the right has the centre alone.
    assert left == pytest.approx(1, abs=1e-3)
    assert right == pytest.approx(math.sqrt(0.5) / (1 + math.sqrt(2)), abs=1e-3)


def test_m4a_is_read(tmp_path, sine):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=SR, layout="mono")
        frame = av.AudioFrame.from_ndarray(sine.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = SR
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sound = read_audio(path, SR, 2)
    assert sound.shape[0] == 2 and abs(sound.shape[1] - SR) < 3000
    spectrum = np.abs(np.fft.rfft(sound[0]))
    assert spectrum.argmax() * SR / sound.shape[1] == pytest.approx(440, abs=3)
    assert np.sqrt(np.mean(sound[0, 5000:15000] ** 2)) == pytest.approx(0.354, rel=0.03)


def test_files_without_sound_are_refused(tmp_path):
    path = tmp_path / "a.wav"
    assert_refused(path, "no such file")
    path.write_bytes(b"")
    assert_refused(path, r"empty \(0 bytes\)")
    path.write_bytes(b"this is no sound" * 100)
    assert_refused(path, "no sound file that can be read")
    soundfile.write(path, np.zeros((0, 1)), SR)
    assert_refused(path, "holds no samples")


def test_nan_samples_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan, 0.1]), SR, subtype="FLOAT")
    assert_refused(tmp_path / "a.wav", "NaN or infinite")


def test_loudness_of_a_full_scale_997_hz_sine_is_minus_3_lufs():
    sound = np.sin(2 * np.pi * 997 * np.arange(4 * 48000) / 48000)[None]
    assert loudness_lufs(sound, 48000) == pytest.approx(-3.01, abs=0.05)


def test_silence_and_sound_too_short_to_measure_have_no_loudness():
    assert loudness_lufs(np.zeros((1, SR)), SR) == -math.inf
    assert loudness_lufs(np.ones((2, 100)), SR) == -math.inf


def test_a_full_disk_is_told_and_leaves_nothing(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DmmError, match=r"x\.wav: the disk is full; free some space"):
        write_audio(tmp_path / "x.wav", np.zeros((1, 100), np.float32), 22050)
    assert list(tmp_path.iterdir()) == []
