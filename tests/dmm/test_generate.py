import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from dmm.errors import ModelError, PresetError
from dmm.generate import Sampling, generate

QUICK = Sampling(steps=2)


@pytest.fixture(scope="module")
def clips(tiny_checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("clips")
    generate(["piano, slow", "organ"], tiny_checkpoint, out, count=2, seed=5, sampling=QUICK)
    return out


def test_every_clip_is_picture_sound_and_settings(clips):
    ids = {"piano-slow-5", "organ-6", "piano-slow-7", "organ-8"}
    assert {p.stem for p in clips.iterdir()} == ids and len(list(clips.iterdir())) == 12
    facts = json.loads((clips / "organ-6.json").read_text())
    assert (facts["prompt"], facts["seed"], facts["format"]) == ("organ", 6, "nano")
    assert soundfile.info(clips / "organ-6.flac").duration == pytest.approx(5.12)


def test_the_same_command_gives_the_same_bytes(clips, tiny_checkpoint, tmp_path):
    generate(["piano, slow", "organ"], tiny_checkpoint, tmp_path, count=2, seed=5, sampling=QUICK)
    for path in clips.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_clip_depends_on_its_batch_by_rounding_alone(clips, tiny_checkpoint, tmp_path):
    (alone,) = generate(["organ"], tiny_checkpoint, tmp_path, seed=6, sampling=QUICK)
    pictures = [
        np.asarray(Image.open(p), float) for p in (alone.with_suffix(".png"), clips / "organ-6.png")
    ]
    assert np.abs(pictures[0] - pictures[1]).max() <= 2


def test_clips_that_are_there_are_not_made_again(clips, tiny_checkpoint):
    before = {path: path.stat().st_mtime_ns for path in clips.iterdir()}
    generate(["piano, slow", "organ"], tiny_checkpoint, clips, count=2, seed=5, sampling=QUICK)
    assert before == {path: path.stat().st_mtime_ns for path in clips.iterdir()}


def test_an_unknown_sampler_and_a_missing_lora_are_told(tiny_checkpoint, tmp_path):
    with pytest.raises(PresetError, match=r"dpmsolver\+\+"):
        generate(["x"], tiny_checkpoint, tmp_path, sampling=Sampling(sampler="magic"))
    with pytest.raises(ModelError, match="no such"):
        generate(["x"], tiny_checkpoint, tmp_path, lora=tmp_path / "no.safetensors")
