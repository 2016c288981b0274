import errno
import math
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from dmm.errors import DmmError, InputError
from dmm.sound.audio import read_audio, stream_audio, write_audio

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


def write_aac(path, sound, **options):
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("aac", rate=SR, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = SR
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_m4a_is_read(tmp_path, sine):
    path = tmp_path / "a.m4a"
    write_aac(path, sine)
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


@pytest.mark.parametrize("file_sr", [SR, 48000, 192000])
def test_blocks_of_any_length_make_the_same_sound(tmp_path, rng, file_sr):
    soundfile.write(tmp_path / "a.wav", rng.uniform(-1, 1, (file_sr + 7, 2)), file_sr)
    whole = read_audio(tmp_path / "a.wav", SR, 2)
    assert whole.shape[1] == round((file_sr + 7) / file_sr * SR)
    for block_s in (0.001, 0.3, 10.0):
        blocks = list(stream_audio(tmp_path / "a.wav", SR, 2, block_s))
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


def test_ffmpeg_blocks_make_the_same_sound(tmp_path, rng):
    write_aac(tmp_path / "a.m4a", rng.uniform(-0.5, 0.5, (1, 2 * SR)))
    short = list(stream_audio(tmp_path / "a.m4a", 16000, 1, block_s=0.1))
    assert len(short) > 10
    whole = read_audio(tmp_path / "a.m4a", 16000, 1)
    np.testing.assert_array_equal(np.concatenate(short, axis=1), whole)


@pytest.mark.parametrize(
    ("sr", "subtype", "channels"), [(192000, "PCM_24", 8), (8000, "PCM_U8", 1)]
)
def test_studio_and_telephone_formats_are_read(tmp_path, sine, sr, subtype, channels):
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(sr) / sr)
    soundfile.write(tmp_path / "a.wav", np.repeat(wave[:, None], channels, 1), sr, subtype=subtype)
    sound = read_audio(tmp_path / "a.wav", SR, 2)
    assert sound.shape == (2, SR)
    middle = slice(2000, -2000)
    np.testing.assert_allclose(sound[0, middle], sine[0, middle], atol=0.01)


def write_silence(path, sr, duration_s):
    """A 16-bit mono wav of zeros that takes no room on disk."""
    soundfile.write(path, np.zeros(0, np.int16), sr)
    size = 44 + 2 * sr * duration_s
    with path.open("r+b") as file:
        for at, value in ((4, size - 8), (40, size - 44)):
            file.seek(at)
            file.write(value.to_bytes(4, "little"))
        file.truncate(size)


@pytest.mark.parametrize("sr", [8000, pytest.param(192000, marks=pytest.mark.slow)])
def test_three_hours_are_not_held_in_memory(tmp_path, sr):
    write_silence(tmp_path / "a.wav", sr, 3 * 3600)
    count = """
import resource, sys
from pathlib import Path
from dmm.sound.audio import stream_audio
peaks = []
for block in stream_audio(Path(sys.argv[1]), 4000, 1):
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(peaks[10], peaks[-1])
"""
    command = [sys.executable, "-c", count, str(tmp_path / "a.wav")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    early_mib, peak_mib = map(int, run.stdout.split())
    assert peak_mib < early_mib + 20


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a"])
def test_a_file_that_breaks_off_is_refused(tmp_path, rng, suffix):
    sound = rng.uniform(-0.3, 0.3, 48000 * 8)
    path = tmp_path / f"a{suffix}"
    if suffix == ".m4a":
        write_aac(path, sound[None], movflags="faststart")
    else:
        soundfile.write(path, sound, 48000, format="OGG" if suffix == ".opus" else None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert_refused(path, r"truncated: breaks off or is damaged after \d+\.\d (of \d+\.\d )?s")


def test_a_few_lost_samples_are_forgiven(tmp_path, sine):
    soundfile.write(tmp_path / "a.wav", np.tile(sine[0], 4), SR)
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(whole[:-SR])
    assert read_audio(tmp_path / "a.wav", SR, 1).shape == (1, 3.5 * SR)


def test_mp3_without_a_length_is_read_to_its_end(tmp_path, rng):
    """The first seconds have a low bitrate, from which libsndfile would guess the length."""
    sound = rng.uniform(-0.3, 0.3, 8 * SR) * np.repeat([1e-4, 1], [2 * SR, 6 * SR])
    path = tmp_path / "a.mp3"
    soundfile.write(path, sound, SR, bitrate_mode="VARIABLE", compression_level=0.3)
    path.write_bytes(path.read_bytes().replace(b"Xing", bytes(4)))
    assert soundfile.info(path).duration < 7
    assert read_audio(path, SR, 1).shape[1] / SR == pytest.approx(8, abs=0.2)


def test_protected_sound_is_refused(tmp_path, sine):
    write_aac(tmp_path / "a.m4a", sine)
    data = (tmp_path / "a.m4a").read_bytes()
    (tmp_path / "a.m4a").write_bytes(data.replace(b"mp4a", b"drms"))
    assert_refused(tmp_path / "a.m4a", "protected")


def test_text_named_mp3_is_refused(tmp_path):
    (tmp_path / "a.mp3").write_text("this is no sound " * 5000)
    assert_refused(tmp_path / "a.mp3", "no sound file that can be read")


def test_nan_samples_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan, 0.1]), SR, subtype="FLOAT")
    assert_refused(tmp_path / "a.wav", "NaN or infinite")


def test_a_full_disk_is_reported_and_leaves_nothing(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DmmError, match=r"x\.wav: the disk is full; free some space"):
        write_audio(tmp_path / "x.wav", np.zeros((1, 100), np.float32), 22050)
    assert list(tmp_path.iterdir()) == []
