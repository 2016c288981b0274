"""Speed of generation, VAE, decoding to sound, distillation and CLAP on one device."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dmm.codec.decode import decode
from dmm.codec.mel import load_format
from dmm.devices import pick_device
from dmm.errors import DmmError
from dmm.generation.loaded_model import LoadedModel
from dmm.generation.requests import clip_requests
from dmm.generation.sampling import Sampling
from dmm.generation.settings import resolve_settings

ROUNDS = 3
"""The first is not counted: kernels are chosen and memory is allocated."""
DISTILLED = (2, 42)
"""Steps of two distillations, whose difference is timed."""
CLAP_SECONDS, CLAP_SR = 10, 48_000
"""What CLAP hears at once."""


@dataclass(frozen=True)
class Figure:
    """One measured speed."""

    name: str
    value: float
    unit: str
    note: str = ""


def measure_generation(
    base: Path, format_name: str, precision: str, steps: int
) -> Iterator[Figure]:
    """Clips a minute of a batch of four, and how many of them overflowed."""
    model = LoadedModel(base, precision=precision)  # type: ignore[arg-type]
    settings = resolve_settings(base, (), Sampling(steps=steps), format_name, None, None)
    batch = clip_requests(["piano, slow", "organ, dark"], 2, 0)
    images = []
    seconds = _seconds_of(lambda: images.extend(model.generate_images(batch, settings)))
    overflowed = sum(image.overflowed for image in images)
    note = f"{steps} steps, batch of {len(batch)}; {overflowed} of {len(images)} clips overflowed"
    yield Figure(f"generate {precision}", 60 * len(batch) / seconds, "clips/min", note)


def measure_vae(base: Path, format_name: str) -> Iterator[Figure]:
    """Seconds of the VAE for one clip, in full precision as always."""
    from dmm.checkpoints.pipeline import load_vae

    fmt, device = load_format(format_name), pick_device("auto")
    vae = load_vae(base).to(device)
    pixels = torch.zeros(1, 3, fmt.n_mels, fmt.n_frames, device=device)
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mean
        yield Figure("VAE encode", _seconds_of(lambda: vae.encode(pixels)), "s/clip")
        yield Figure("VAE decode", _seconds_of(lambda: vae.decode(latents)), "s/clip")


def measure_codec(format_name: str) -> Iterator[Figure]:
    """Seconds in which one mel image becomes sound, which the CPU does."""
    fmt = load_format(format_name)
    image = np.random.default_rng(0).integers(0, 256, (fmt.n_mels, fmt.n_frames), dtype=np.uint8)
    yield Figure("mel image to sound", _seconds_of(lambda: decode(image, fmt)), "s/clip", "CPU")


def measure_distillation(base: Path, data: Path, student: str) -> Iterator[Figure]:
    """Steps a second of a smaller UNet with batches of one, from runs of 2 and of 42 steps.

    Both store the teacher's outputs of two examples, so only steps of the student differ. DmmError
    if the longer run took no longer, as on a busy machine.
    """
    seconds = []
    with tempfile.TemporaryDirectory(prefix="dmm-bench-") as folder:
        for steps in DISTILLED:
            preset = Path(folder) / f"{steps}.toml"
            lines = [f'about = "{steps} steps."', f'extends = "{student}"', "[unet]"]
            lines += [f"steps = {steps}", "batch_size = 1", "warmup = 1", "store = 2"]
            preset.write_text("\n".join(lines) + "\n")
            words = ["--teacher", base, "--student", preset, "--dataset", data]
            words += ["--out", Path(folder) / f"{steps}.safetensors"]
            start = time.perf_counter()
            command = [sys.executable, "-m", "dmm", "distill", "unet", *map(str, words)]
            subprocess.run(command, check=True, stdout=sys.stderr)
            seconds.append(time.perf_counter() - start)
    if seconds[1] <= seconds[0]:
        raise DmmError(
            f"distill: {DISTILLED[1]} steps took no longer than {DISTILLED[0]}; run again"
        )
    rate = (DISTILLED[1] - DISTILLED[0]) / (seconds[1] - seconds[0])
    note = f"{student}, batch of 1; {seconds[0]:.0f} s with loading and the first two steps"
    yield Figure("distill", rate, "steps/s", note)


def measure_clap(layers: int | None = None) -> Iterator[Figure]:
    """Clips a second through CLAP's network with random weights; ``layers`` for a small one."""
    from transformers import ClapAudioConfig, ClapAudioModelWithProjection

    small = {"depths": [layers] * 4, "patch_embeds_hidden_size": 16, "hidden_size": 128}
    device = pick_device("auto")
    config = ClapAudioConfig() if layers is None else ClapAudioConfig(**small)
    network: Any = ClapAudioModelWithProjection(config)
    network.eval().to(device)
    frames = CLAP_SECONDS * CLAP_SR // 480 + 1
    features = torch.zeros(4, 1, frames, 64, device=device)
    with torch.no_grad():
        seconds = _seconds_of(lambda: network(input_features=features))
    yield Figure("CLAP", len(features) / seconds, "clips/s", "random weights")


def _seconds_of(work: Callable[[], object]) -> float:
    """Seconds of one call: the shortest of a few, after a first one."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return min(found[1:])
