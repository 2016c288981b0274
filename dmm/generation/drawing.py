"""From noise to pictures: diffusers' networks and schedulers, our own few lines between them.

The arithmetic is that of diffusers' pipelines, to the bit in full precision. Latents stay in full
precision whatever the UNet computes in; noise comes from the CPU, so a seed means the same on
every device.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from ..errors import ModelError
from ..noise import next_noise
from .recipe import Recipe
from .requests import Request
from .sampling import Sampling, make_scheduler
from .words import Conditions, embed_prompts

Latents = Float[torch.Tensor, "n channels latent_rows latent_frames"]
OnStep = Callable[[int, int], object]
"""Called before every step with the steps taken and all there are; what it raises ends all."""


def no_step(taken: int, of: int) -> None:
    """Nobody watches."""


@torch.no_grad()
def predict(
    pipeline: Any, noisy: Latents, timestep: torch.Tensor, conditions: Conditions
) -> Latents:
    """The UNet's prediction for scaled noisy latents, guided if the conditions are.

    Each clip's two rows, without its prompt and with it, then stand side by side.
    """
    unet, words = pipeline.unet, conditions.words
    if conditions.guided:
        noisy, words = noisy.repeat_interleave(2, 0), conditions.negative.beside(words)
    named: dict[str, Any] = {"encoder_hidden_states": words.tokens}
    if words.pooled is not None:
        sizes = size_ids(pipeline, noisy)
        named["added_cond_kwargs"] = {"text_embeds": words.pooled, "time_ids": sizes}
    found = unet(noisy.to(unet.dtype), timestep, return_dict=False, **named)[0].float()
    if conditions.guided:
        without, asked_for = found[0::2], found[1::2]
        found = without + conditions.guidance * (asked_for - without)
    return found


Predict = Callable[[Any, Latents, torch.Tensor, Conditions], Latents]
"""``predict`` or what may stand for it."""


@torch.no_grad()
def sample(
    pipeline: Any,
    noise: Latents,
    conditions: Conditions,
    sampling: Sampling,
    generators: list[torch.Generator],
    on_step: OnStep = no_step,
    predict: Predict = predict,
) -> Latents:
    """Standard normal noise to latents without noise, on the CPU.

    ``generators`` go on to make what noise the sampler adds underway, each that of its own clip.
    """
    device = pipeline._execution_device
    scheduler = make_scheduler(sampling.sampler, pipeline.scheduler.config)
    scheduler.set_timesteps(sampling.steps, device=device)
    latents = noise.to(device) * scheduler.init_noise_sigma
    extra = step_arguments(scheduler, generators)
    for taken, timestep in enumerate(scheduler.timesteps):
        on_step(taken, len(scheduler.timesteps))
        noisy = scheduler.scale_model_input(latents, timestep)
        found = predict(pipeline, noisy, timestep, conditions)
        latents = scheduler.step(found, timestep, latents, return_dict=False, **extra)[0]
    return latents.cpu()


def step_arguments(scheduler: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    """What a scheduler's ``step`` takes beside the usual: generators, if it adds noise."""
    names = inspect.signature(scheduler.step).parameters
    return {"generator": generators} if "generator" in names else {}


def draw(
    pipeline: Any,
    batch: Sequence[Request],
    recipe: Recipe,
    on_step: OnStep = no_step,
) -> list[UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"]]:
    """A mel image for every request, each from its own seed.

    ModelError if a picture is not finite.
    """
    latents = draw_latents(pipeline, batch, recipe, on_step)
    return [to_levels(picture, recipe.stereo) for picture in decode_latents(pipeline, latents)]


def draw_latents(
    pipeline: Any,
    batch: Sequence[Request],
    recipe: Recipe,
    on_step: OnStep = no_step,
    predict: Predict = predict,
) -> Latents:
    """The pictures before the VAE decodes them, on the CPU; not finite where numbers overflowed."""
    generators = [torch.Generator().manual_seed(request.seed) for request in batch]
    noise = next_noise(generators, latent_shape(pipeline, recipe.fmt.n_mels, recipe.fmt.n_frames))
    texts = [recipe.sampling.negative_prompt, *(recipe.text(clip.prompt) for clip in batch)]
    words = embed_prompts(pipeline, texts, recipe.clip_skip)
    asked, negative = words.rows(range(1, len(texts))), words.rows([0] * len(batch))
    conditions = Conditions(asked, negative, recipe.sampling.guidance)
    return sample(pipeline, noise, conditions, recipe.sampling, generators, on_step, predict)


def size_ids(pipeline: Any, latents: Latents) -> Float[torch.Tensor, "n 6"]:
    """What SDXL is told of sizes: original and target are the picture's, nothing is cropped."""
    size = [length * pipeline.vae_scale_factor for length in latents.shape[2:]]
    ids = torch.tensor([*size, 0, 0, *size], device=latents.device, dtype=pipeline.unet.dtype)
    return ids.expand(len(latents), 6)


def latent_shape(pipeline: Any, rows: int, frames: int) -> tuple[int, int, int]:
    """(channels, rows, frames) of a picture's latents."""
    factor = pipeline.vae_scale_factor
    return pipeline.unet.config.in_channels, rows // factor, frames // factor


def decode_latents(pipeline: Any, latents: Latents) -> Iterator[Float[np.ndarray, "rows frames 3"]]:
    """Pictures in 0..1, one at a time, since each takes gigabytes in full precision.

    ModelError if one is not finite.
    """
    return (_decode(pipeline, latent) for latent in latents.split(1))


@torch.no_grad()
def _decode(pipeline: Any, latent: Latents) -> Float[np.ndarray, "rows frames 3"]:
    vae = pipeline.vae
    scaled = latent.to(pipeline._execution_device, vae.dtype) / vae.config.scaling_factor
    picture = vae.decode(scaled, return_dict=False)[0][0].float()
    if not torch.isfinite(picture).all():
        raise ModelError("a picture holds NaN: a LoRA has diverged, or the weights are damaged")
    return (picture / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()


def to_levels(
    picture: Float[np.ndarray, "rows frames 3"], stereo: bool
) -> UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"]:
    """A picture in 0..1 as a mel image: its grey mean, or with its colours."""
    return np.rint((picture if stereo else picture.mean(-1)) * 255).astype(np.uint8)
