"""Verify that a fused checkpoint generates the same images as its base with the LoRAs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from ..checkpoints.tensorfile import main_dtype, open_tensors
from ..errors import ModelError
from ..generation.loading import Lora, open_pipeline
from ..generation.mel_images import decode_latent, generate_latents
from ..generation.requests import ClipRequest
from ..generation.settings import GenerationSettings, default_sampling, resolve_settings
from ..progress import progress_bar

LIMIT = 1e-3
"""Largest difference of images in 0..1 that rounding explains in single precision."""


@dataclass(frozen=True)
class Comparison:
    """Differences of images in 0..1."""

    greatest: float
    mean: float
    effect: float
    """Largest difference made by the LoRAs, which shows that the comparison is meaningful."""
    is_exact: bool
    """Whether the fused weights are in single precision, to which ``LIMIT`` applies."""

    def __str__(self) -> str:
        """The differences in one line."""
        rounded = "" if self.is_exact else ", with weights rounded to half precision"
        return (
            f"fused against base with LoRA: at most {self.greatest:.2g} apart, {self.mean:.2g} "
            f"on average{rounded}; the LoRA itself changes the image by {self.effect:.2g}"
        )


def verify(
    base: Path, loras: Sequence[Lora], fused: Path, prompt: str, seed: int = 0, steps: int = 4
) -> Comparison:
    """Generate an image with base and LoRAs, and with ``fused``, in fp32 on the CPU; compare them.

    ModelError if weights in single precision give images that differ by more than ``LIMIT``.
    """
    settings = resolve_settings(fused, sampling=default_sampling(fused).override(steps=steps))
    request = ClipRequest(prompt, seed)
    with progress_bar("verify", 3) as advance:
        images = []
        for model, added in ((base, ()), (base, loras), (fused, ())):
            images.append(_generate(model, added, request, settings))
            advance()
    plain, expected, found = images
    apart = np.abs(found - expected)
    with open_tensors(fused) as file:
        is_exact = main_dtype(file) == torch.float32
    effect = float(np.abs(expected - plain).max())
    comparison = Comparison(float(apart.max()), float(apart.mean()), effect, is_exact)
    if is_exact and comparison.greatest > LIMIT:
        raise ModelError(f"{fused}: {comparison}; more than {LIMIT:g}, do not use it")
    return comparison


def _generate(
    model: Path, loras: Sequence[Lora], request: ClipRequest, settings: GenerationSettings
) -> Float[np.ndarray, "rows frames 3"]:
    """Image in 0..1; the model is freed on return, so that only one is in memory at a time."""
    pipeline = open_pipeline(model, loras, device="cpu", precision="fp32")
    return decode_latent(pipeline, generate_latents(pipeline, [request], settings))
