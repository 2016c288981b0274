"""``import dmm``: light, and offers the functions that a notebook needs."""

import subprocess
import sys

import pytest
import soundfile

import dmm
from dmm.codec.image import read_image
from dmm.codec.mel import load_format
from dmm.sound.audio import write_audio


def test_importing_dmm_imports_no_other_package():
    code = "import sys, dmm; print([m for m in ('torch', 'numpy', 'typer') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_offered_name_is_a_function_and_listed():
    assert all(callable(getattr(dmm, name)) for name in dmm.__all__)
    assert set(dmm.__all__) <= set(dir(dmm))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sing'"):
        dmm.sing  # noqa: B018


def test_audio_becomes_images_and_audio_again(tmp_path, rng):
    fmt = load_format("nano")
    audio = 0.1 * rng.normal(size=(1, fmt.clip_samples)).astype("float32")
    write_audio(tmp_path / "noise.wav", audio, fmt.sr)
    (image,) = dmm.encode(str(tmp_path / "noise.wav"), str(tmp_path), format="nano")
    assert image == tmp_path / "noise-000.png" and read_image(image)[1] == fmt
    sound = dmm.decode(str(image), tmp_path, quality="fast", type="flac")
    assert soundfile.info(sound).frames == fmt.clip_samples


def test_a_prompt_a_lora_and_texts_for_paths_are_enough(tiny_checkpoint, random_lora, tmp_path):
    lora = random_lora(tmp_path / "lora.safetensors", tiny_checkpoint)
    options = {"out": str(tmp_path / "clips"), "lora": f"{lora}:0.5", "steps": 1}
    (clip,) = dmm.generate("organ", str(tiny_checkpoint), **options)
    assert clip == tmp_path / "clips" / "organ-0.flac" and clip.is_file()
    assert dmm.generate("organ", str(tiny_checkpoint), **options, dry_run=True) == []
    fused = tmp_path / "fused.safetensors"
    dmm.fuse(str(tiny_checkpoint), f"{lora}:0.5", str(fused))
    (written, *_) = dmm.song("organ", fused, str(tmp_path / "song.wav"), seconds=1.0, steps=1)
    assert soundfile.info(written).duration == pytest.approx(1.0)
