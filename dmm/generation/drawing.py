"""Mel images of requests: their noise, their words, the sampling between, the VAE at the end.

Noise comes from the CPU, so a seed means the same on every device.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from ..errors import ModelError
from ..noise import first_noise, next_noise, slerp
from .conditioning import Conditions, Words, embed_prompts
from .denoising import Latents, OnStep, Predict, no_step, predict, sample
from .recipe import Recipe
from .requests import Request

Levels = UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"]


def draw(
    pipeline: Any, batch: Sequence[Request], recipe: Recipe, on_step: OnStep = no_step
) -> list[Levels]:
    """A mel image for every request, each from its own seed.

    ModelError if a picture is not finite.
    """
    return list(decode_levels(pipeline, draw_latents(pipeline, batch, recipe, on_step), recipe))


def draw_latents(
    pipeline: Any,
    batch: Sequence[Request],
    recipe: Recipe,
    on_step: OnStep = no_step,
    predict: Predict = predict,
) -> Latents:
    """The pictures before the VAE decodes them, on the CPU; not finite where numbers overflowed."""
    generators = [torch.Generator().manual_seed(request.seed) for request in batch]
    shape = latent_shape(pipeline, recipe.fmt.n_mels, recipe.fmt.n_frames)
    noise = next_noise(generators, shape)
    for number, request in enumerate(batch):
        for seed, amount in request.drift:
            noise[number] = slerp(noise[number], first_noise([seed], shape)[0], amount)
    conditions = read_conditions(pipeline, batch, recipe)
    sampling, start = recipe.sampling, recipe.start
    return sample(pipeline, noise, conditions, sampling, generators, start, on_step, predict)


def read_conditions(pipeline: Any, batch: Sequence[Request], recipe: Recipe) -> Conditions:
    """What the UNet is asked for, clip by clip; each text is read once."""
    texts = [recipe.sampling.negative_prompt]
    for request in batch:
        texts += recipe.texts(request)
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    read = embed_prompts(pipeline, list(numbers), recipe.clip_skip)
    words = []
    for request in batch:
        rows = [read.rows([numbers[text]]) for text in recipe.texts(request)]
        words.append(rows[0].toward(rows[1], request.toward[1]) if request.toward else rows[0])
    return Conditions(Words.joined(words), read.rows([0] * len(batch)), recipe.sampling.guidance)


def latent_shape(pipeline: Any, rows: int, frames: int) -> tuple[int, int, int]:
    """(channels, rows, frames) of a picture's latents."""
    factor = pipeline.vae_scale_factor
    return pipeline.unet.config.in_channels, rows // factor, frames // factor


def decode_levels(pipeline: Any, latents: Latents, recipe: Recipe) -> Iterator[Levels]:
    """Mel images of latents, one at a time, since each takes gigabytes in full precision.

    ModelError if one is not finite.
    """
    for latent in latents.split(1):
        levels = to_levels(decode_latent(pipeline, latent), recipe.stereo)
        yield recipe.start.put_back(levels) if recipe.start else levels


@torch.no_grad()
def decode_latent(pipeline: Any, latent: Latents) -> Float[np.ndarray, "rows frames 3"]:
    """The VAE's picture in 0..1 of one clip's latents; ModelError if it is not finite."""
    vae = pipeline.vae
    scaled = latent.to(pipeline._execution_device, vae.dtype) / vae.config.scaling_factor
    picture = vae.decode(scaled, return_dict=False)[0][0].float()
    if not torch.isfinite(picture).all():
        raise ModelError("a picture holds NaN: a LoRA has diverged, or the weights are damaged")
    return (picture / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()


def to_levels(picture: Float[np.ndarray, "rows frames 3"], stereo: bool) -> Levels:
    """A picture in 0..1 as a mel image: its grey mean, or with its colours."""
    return np.rint((picture if stereo else picture.mean(-1)) * 255).astype(np.uint8)
