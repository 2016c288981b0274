"""Clips from a bundle: as its checkpoint makes them, and without PyTorch."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dmm.errors import ModelError, PresetError
from dmm.generation.bundle_model import BundleModel
from dmm.generation.generate import generate
from dmm.generation.loaded_model import LoadedModel
from dmm.generation.requests import ClipRequest

WITHOUT_TORCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "diffusers", "transformers", "accelerate", "peft", "onnx"):
            raise ModuleNotFoundError(f"{name} was imported")

sys.meta_path.insert(0, Missing())
from dmm.cli import run
sys.exit(run(sys.argv[1:]))
"""
QUICK = {"steps": 2, "guidance": 2.0, "sampler": "ddim"}


@pytest.mark.parametrize("sampler", ["dpm++-2m-karras", "lcm"])
def test_a_seed_makes_the_clip_that_the_checkpoint_makes(student, exported, sampler):
    request = ClipRequest("slow piano", 5, ("organ", 0.3), ((6, 0.4),))
    images = []
    for model in (LoadedModel(student, device="cpu"), BundleModel(exported, "cpu")):
        settings = model.settings()
        sampling = settings.sampling.override(sampler, 3, 2.0, "noise")
        images += model.generate_images([request], type(settings)(settings.fmt, sampling))
    apart = np.abs(images[0].levels.astype(int) - images[1].levels)
    assert apart.max() <= 1 and images[0].levels.std() > 0


def test_a_clip_is_the_same_in_any_batch(exported):
    model = BundleModel(exported, "cpu")
    settings = model.settings()
    batch = [ClipRequest("organ", 1), ClipRequest("slow piano", 2)]
    together = model.generate_images(batch, settings)
    alone = model.generate_images(batch[1:], settings)
    assert np.array_equal(together[1].levels, alone[0].levels)


def test_the_command_needs_no_torch(exported, tmp_path):
    command = [
        "generate", "slow piano", "--bundle", str(exported), "--out", str(tmp_path), "--count", "2",
        "--steps", "2", "--device", "cpu",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{tmp_path}/slow-piano-{seed}.flac" for seed in (0, 1)]
    settings = json.loads((tmp_path / "slow-piano-1.json").read_text())
    assert settings["steps"] == 2 and settings["sampler"] == "ddim"  # as the bundle says
    assert len(settings["bundle_sha256"]) == 64 and settings["precision"] == "fp32"
    with Image.open(tmp_path / "slow-piano-1.png") as image:
        assert image.size == (256, 256)


def test_variations_and_morphs_come_from_a_bundle_too(exported, tmp_path):
    first = generate("organ", exported, tmp_path, device="cpu", **QUICK)
    again = generate("organ", exported, tmp_path, device="cpu", dry_run=True, **QUICK)
    near = generate([], exported, tmp_path, device="cpu", variations="organ-0")
    morph = generate(
        [], exported, tmp_path, device="cpu", morph=("organ", "piano"), count=2, **QUICK
    )
    assert again == [] and [path.stem for path in near] == ["organ-0-v1"]
    sounds = [path.read_bytes() for path in (*first, *near, *morph)]
    assert sounds[2] == sounds[0] and len(set(sounds)) == 3  # a morph begins at its first prompt


def test_the_best_of_two_is_kept(exported, tmp_path):
    kept = generate(
        "organ", exported, tmp_path, device="cpu", count=2, rank="nano-clap", keep=1, **QUICK
    )
    ranking = json.loads(kept[0].with_suffix(".json").read_text())["result"]["ranking"]
    best = max(ranking["drawn"], key=lambda candidate: candidate["score"])
    assert [path.stem for path in kept] == [best["id"]] and len(ranking["drawn"]) == 2


def test_what_only_a_checkpoint_can_do_is_refused_in_a_line(exported, tmp_path):
    for options, message in (
        ({"lora": "box.safetensors"}, "--lora: is decided in"),
        ({"precision": "fp16"}, "--precision: is decided in"),
        ({"init": "song.flac"}, "--init: .* has no VAE encoder"),
        ({"format": "sdxl-512"}, "--format sdxl-512: .* is for nano"),
        ({"sampler": "heun", "steps": 2}, "sampler 'heun' does not run from a bundle"),
        ({"device": "tpu"}, "no device 'tpu' for a bundle"),
    ):
        with pytest.raises(PresetError, match=message):
            generate("piano", exported, tmp_path, **{"device": "cpu", **options})
    assert not list(tmp_path.glob("*.flac"))


def test_a_prompt_beyond_clips_tokens_is_noted(exported):
    notes = list(BundleModel(exported, "cpu").truncation_notes(["piano " * 80 + "last", "short"]))
    assert len(notes) == 1 and notes[0].startswith("CLIP reads 75 tokens") and "last" in notes[0]


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no bundle \(no bundle.json\)"):
        generate("piano", tmp_path, tmp_path / "clips", device="cpu")
