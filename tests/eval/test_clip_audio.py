import json

import numpy as np
import pytest
import soundfile

from dmm.codec.decode import decode
from dmm.codec.image import write_image
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError
from dmm.files import sha256_file
from eval.sound import facts_of, mono


def known(path):
    return facts_of(path, sha256_file(path))


def test_facts_are_the_files_own_before_resampling(tmp_path):
    sound = np.zeros((4410, 2), np.float32)
    sound[100, 1] = -0.5
    soundfile.write(tmp_path / "a.wav", sound, 44100, subtype="FLOAT")
    facts = known(tmp_path / "a.wav")
    assert (facts.sr, facts.samples, facts.peak) == (44100, 4410, 0.5)
    assert facts.duration_s == pytest.approx(0.1)
    assert not facts.is_silent


def test_a_whisper_below_60_db_is_silent(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(100, 0.9e-3), 8000, subtype="FLOAT")
    assert known(tmp_path / "a.wav").is_silent


def test_facts_are_measured_once_and_again_if_what_was_kept_is_torn(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.full(100, 0.25), 8000)
    first = known(tmp_path / "a.wav")
    (kept,) = (tmp_path / "cache").rglob("*.json")
    kept.write_text(json.dumps({"sr": 1, "samples": 2, "peak": 3.0}))
    assert known(tmp_path / "a.wav").samples == 2
    kept.write_text('{"sr": 1, "sam')
    assert known(tmp_path / "a.wav") == first


def test_a_mel_image_is_heard_as_what_it_decodes_to(tmp_path, tone):
    fmt = load_format("nano")
    image = encode(tone(220)[None, : 16 * fmt.hop_length], fmt)
    write_image(tmp_path / "a.png", image, fmt)
    assert mono(tmp_path / "a.png", fmt.sr) == pytest.approx(decode(image, fmt)[0], abs=1e-6)
    assert known(tmp_path / "a.png").samples == 16 * fmt.hop_length


def test_an_image_that_is_no_mel_image_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.png: no PNG image"):
        mono(tmp_path / "a.png", 8000)
