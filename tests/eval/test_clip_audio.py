import json

import numpy as np
import pytest
import soundfile

from dmm.codec.decode import decode
from dmm.codec.image import write_image
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError
from dmm.files import sha256_file
from eval.clip_audio import cached_audio_properties, read_mono


def properties(path):
    return cached_audio_properties(path, sha256_file(path))


def test_properties_are_the_files_own_before_resampling(tmp_path):
    sound = np.zeros((4410, 2), np.float32)
    sound[100, 1] = -0.5
    soundfile.write(tmp_path / "a.wav", sound, 44100, subtype="FLOAT")
    found = properties(tmp_path / "a.wav")
    assert (found.sr, found.samples, found.peak) == (44100, 4410, 0.5)
    assert found.duration_s == pytest.approx(0.1)
    assert not found.is_silent


def test_a_whisper_below_60_db_is_silent(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(100, 0.9e-3), 8000, subtype="FLOAT")
    assert properties(tmp_path / "a.wav").is_silent


def test_properties_are_measured_once_and_again_if_the_cache_is_broken(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.full(100, 0.25), 8000)
    first = properties(tmp_path / "a.wav")
    (cached,) = (tmp_path / "cache").rglob("*.json")
    cached.write_text(json.dumps({"sr": 1, "samples": 2, "peak": 3.0}))
    assert properties(tmp_path / "a.wav").samples == 2
    cached.write_text('{"sr": 1, "sam')
    assert properties(tmp_path / "a.wav") == first


def test_a_mel_image_is_read_as_its_decoded_audio(tmp_path, tone):
    fmt = load_format("nano")
    image = encode(tone(220)[None, : 16 * fmt.hop_length], fmt)
    write_image(tmp_path / "a.png", image, fmt)
    assert read_mono(tmp_path / "a.png", fmt.sr) == pytest.approx(decode(image, fmt)[0], abs=1e-6)
    assert properties(tmp_path / "a.png").samples == 16 * fmt.hop_length


def test_an_unreadable_image_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.png: no PNG image"):
        read_mono(tmp_path / "a.png", 8000)
