"""The player in a real browser: from a prompt to a sound that equals Python's."""

import io

import numpy as np
import soundfile

from dmm.codec.image import read_image
from dmm.codec.mel import encode
from dmm.web.offers import default_model, exported_bundle


def test_a_clip_equals_pythons_of_the_same_seed(page, toy, make, download, python_clip, psnr_db):
    make(page)
    wav, name = download(page, "#wav")
    sound, sr = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    _, expected, fmt = python_clip(toy, "piano, slow", 3)
    assert name == "piano-slow-3.wav" and sr == fmt.sr and sound.T.shape == expected.shape
    assert psnr_db(encode(sound.T, fmt), encode(expected, fmt)) > 35


def test_the_model_of_the_repository_sounds_as_in_python(
    serve, context, open_page, make, download, python_clip, psnr_db
):
    bundle = exported_bundle(default_model())
    with serve([bundle]) as site:
        page = open_page(context, site.entrance)
        page.click("#settings summary")
        page.fill("#steps", "4")
        make(page, "flute and piano, slow", 7)
        wav, _ = download(page, "#wav")
    sound, _ = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    _, expected, fmt = python_clip(bundle, "flute and piano, slow", 7, steps=4)
    assert psnr_db(encode(sound.T, fmt), encode(expected, fmt)) >= 35


def test_the_picture_is_pythons_and_says_its_format(
    page, toy, tmp_path, make, download, python_clip, psnr_db
):
    make(page)
    png, name = download(page, "#png")
    (tmp_path / name).write_bytes(png)
    levels, fmt = read_image(tmp_path / name)
    expected, _, own = python_clip(toy, "piano, slow", 3)
    assert fmt == own and psnr_db(levels, expected) > 60


def test_flac_and_wav_hold_the_same_samples(page, make, download):
    make(page)
    sounds = [soundfile.read(io.BytesIO(download(page, b)[0]))[0] for b in ("#wav", "#flac")]
    assert np.array_equal(*sounds)


def test_another_seed_sounds_different_and_the_same_one_the_same(page, make, download):
    make(page, seed=3)
    first, _ = download(page, "#wav")
    make(page, seed=4)
    assert download(page, "#wav")[0] != first
    make(page, seed=3)
    assert download(page, "#wav")[0] == first
