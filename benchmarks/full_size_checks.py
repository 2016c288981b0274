"""Evidence that a stage of ``full_size.py`` really worked: one line each, or an AssertionError."""

from collections.abc import Iterable
from math import isfinite
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.lora_layers import lora_layers
from dmm.checkpoints.tensorfile import open_tensors
from dmm.files import read_json, read_jsonl
from dmm.fusing.weights import read_factors
from dmm.sound.audio import read_audio

SR = 44100
SAMPLED = 40
"""Layers that are compared, evenly over all of them."""


def bases_are_whole(files: Iterable[Path], tiny: bool) -> str:
    """Sizes are those of the architecture, and every tensor is finite."""
    found = []
    for file in files:
        shapes, count = read_architecture(file), 0
        with open_tensors(file) as tensors:
            for name, spec in tensors.specs.items():
                assert tensors.read(name).isfinite().all(), f"{file.name}: {name}"
                count += spec.byte_size // spec.dtype.itemsize
        assert tiny or shapes.model_channels == 320
        found.append(f"{shapes.name} {count / 1e9:.2f} B parameters")
    return ", ".join(found)


def dataset_has_clips(data: Path) -> str:
    """There are clips to train on and to validate with."""
    counts = {split: len(list((data / split).glob("*.png"))) for split in ("train", "val", "test")}
    assert counts["train"] and counts["val"], counts
    return ", ".join(f"{count} {split}" for split, count in counts.items())


def run_was_resumed_and_learnt(run: Path) -> str:
    """It finished after a resume, its losses are finite, and the LoRA is not what it began with."""
    record = read_json(run / "run.json")
    assert (record["status"], record["step"]) == ("finished", 2), record["status"]
    assert record["resumed"][0]["from"] == "step-000001"
    lines = read_jsonl(run / "metrics.jsonl")
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses and all(map(isfinite, losses)), losses
    with open_tensors(run / "lora.safetensors") as file:
        ups = [file.read(name) for name in file.specs if name.endswith("lora_up.weight")]
    assert all(up.isfinite().all() for up in ups) and any(up.any() for up in ups)
    return (
        f"{len(ups)} modules, resumed from step 1, losses "
        f"{', '.join(f'{loss:.3f}' for loss in losses)}, {record['seconds_per_step']:.0f} s a step"
    )


def _images(clips: Path) -> list[np.ndarray]:
    found = sorted(clips.glob("*.png"))
    assert found, f"{clips}: no clips"
    return [np.asarray(Image.open(path), np.float64) for path in found]


def clips_are_finite(clips: Path) -> str:
    """Every clip has an image that is not flat, and a sound without NaN."""
    images = _images(clips)
    assert all(image.std() > 1 for image in images)
    for path in clips.glob("*.flac"):
        assert np.isfinite(read_audio(path, SR, channels=1)).all()
    return f"{len(images)} clips, spread of {np.mean([image.std() for image in images]):.1f} levels"


def lora_changes_the_picture(plain: Path, tuned: Path) -> str:
    """Clips are finite with and without the LoRA, and differ."""
    clips_are_finite(plain)
    clips_are_finite(tuned)
    pairs = zip(_images(plain), _images(tuned), strict=True)
    change = max(float(np.abs(a - b).mean()) for a, b in pairs)
    assert change > 0, "the LoRA changes nothing"
    return f"the LoRA changes {change:.2f} levels of 255 on average"


def sound_lasts(path: Path, seconds: float) -> str:
    """The sound has this length and no NaN."""
    sound = read_audio(path, SR, channels=1)
    assert np.isfinite(sound).all()
    assert abs(sound.shape[1] / SR - seconds) < 1, sound.shape
    return f"{sound.shape[1] / SR:.2f} s, peak {np.abs(sound).max():.2f}"


def fused_is_base_plus_lora(base: Path, lora: Path, fused: Path) -> str:
    """Sampled layers are the base's plus up @ down, within the rounding of half precision."""
    layers, factors = lora_layers(read_architecture(base)), read_factors(lora, base)
    worst, moved = 0.0, 0
    with open_tensors(base) as before, open_tensors(fused) as after:
        assert before.specs.keys() == after.specs.keys()
        for layer in _sample(factors):
            place = layers[layer]
            old, new = (place.weight_view(f.read(place.tensor)).float() for f in (before, after))
            expected = (old + factors[layer].delta()).half().float()
            worst = max(worst, float((new - expected).abs().max() / expected.abs().max()))
            moved += bool((new - old).any())
    assert worst < 1e-3 and moved, (worst, moved)
    return f"base + LoRA within {worst:.1e} of {SAMPLED} layers' largest weights"


def extracted_is_the_lora(base: Path, lora: Path, extracted: Path) -> str:
    """Sampled layers' changes are those of the LoRA, beside the rounding of half precision."""
    before, after = read_factors(lora, base), read_factors(extracted, base)
    shared = [layer for layer in before if layer in after]
    assert shared, "no layer was extracted"
    cosines = []
    for layer in _sample(shared):
        a, b = before[layer].delta().flatten(), after[layer].delta().flatten()
        cosines.append(float(torch.nn.functional.cosine_similarity(a, b, dim=0)))
    assert min(cosines) > 0.5, min(cosines)
    return f"{len(after)} layers; cosine to the LoRA's change {min(cosines):.3f} or more"


def student_is_smaller(out: Path) -> str:
    """The student loads, its UNet's weights are finite and fewer than SDXL's."""
    shapes, count = read_architecture(out), 0
    with open_tensors(out) as file:
        for name, spec in file.specs.items():
            if name.startswith("model.diffusion_model."):
                assert file.read(name).isfinite().all(), name
                count += spec.byte_size // spec.dtype.itemsize
    return f"{shapes.name}, UNet of {count / 1e6:.0f} M parameters"


def _sample(layers: Iterable[str]) -> list[str]:
    """Layers evenly over all of them."""
    every = sorted(layers)
    return every[:: max(1, len(every) // SAMPLED)][:SAMPLED]
