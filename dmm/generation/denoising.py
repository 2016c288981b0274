"""From noise to latents without noise: diffusers' networks and schedulers, our few lines between.

The arithmetic is that of diffusers' pipelines, to the bit in full precision. Latents stay in full
precision whatever the UNet computes in.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float

from .conditioning import Conditions
from .init_audio import Start
from .sampling import Sampling, make_scheduler

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
    start: Start | None = None,
    on_step: OnStep = no_step,
    predict: Predict = predict,
) -> Latents:
    """Standard normal noise to latents without noise, on the CPU.

    ``generators`` go on to make what noise the sampler adds underway, each that of its own clip.
    """
    noise = noise.to(pipeline._execution_device)
    scheduler = make_scheduler(sampling.sampler, pipeline.scheduler.config)
    scheduler.set_timesteps(sampling.steps, device=noise.device)
    timesteps, kept, mask = scheduler.timesteps, noise, None
    latents = noise * scheduler.init_noise_sigma
    if start:
        timesteps = last_timesteps(scheduler, sampling.steps, start.strength)
        kept = start.latents(pipeline).expand_as(noise)
        latents = with_noise(scheduler, kept, noise, timesteps[:1])
        mask = start.mask(noise.shape[-1]).to(noise) if start.span else None
    extra = step_arguments(scheduler, generators)
    for taken, timestep in enumerate(timesteps):
        on_step(taken, len(timesteps))
        noisy = scheduler.scale_model_input(latents, timestep)
        found = predict(pipeline, noisy, timestep, conditions)
        latents = scheduler.step(found, timestep, latents, return_dict=False, **extra)[0]
        if mask is not None:
            as_noisy = with_noise(scheduler, kept, noise, timesteps[taken + 1 : taken + 2])
            latents = torch.where(mask > 0, latents, as_noisy)
    return latents.cpu()


def last_timesteps(scheduler: Any, steps: int, strength: float) -> torch.Tensor:
    """The end of a scheduler's timesteps, a share of them; it is told to begin there."""
    left_out = (steps - max(1, round(steps * strength))) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(left_out)
    return scheduler.timesteps[left_out:]


def with_noise(scheduler: Any, kept: Latents, noise: Latents, timestep: torch.Tensor) -> Latents:
    """``kept`` with the noise that belongs to a timestep, (1,); to none, (0,), is none."""
    return scheduler.add_noise(kept, noise, timestep.repeat(len(kept))) if len(timestep) else kept


def step_arguments(scheduler: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    """What a scheduler's ``step`` takes beside the usual: generators, if it adds noise."""
    names = inspect.signature(scheduler.step).parameters
    return {"generator": generators} if "generator" in names else {}


def size_ids(pipeline: Any, latents: Latents) -> Float[torch.Tensor, "n 6"]:
    """What SDXL is told of sizes: original and target are the picture's, nothing is cropped."""
    size = [length * pipeline.vae_scale_factor for length in latents.shape[2:]]
    ids = torch.tensor([*size, 0, 0, *size], device=latents.device, dtype=pipeline.unet.dtype)
    return ids.expand(len(latents), 6)
