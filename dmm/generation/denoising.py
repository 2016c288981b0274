"""The sampling loop: noise to clean latents, with diffusers' networks and schedulers.

Results equal those of diffusers' pipelines to the bit in full precision. Latents stay in full
precision whatever the UNet computes in.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float

from .callbacks import OnStep, ignore_step
from .conditioning import Conditioning
from .init_image import InitImage
from .sampling import Sampling, make_scheduler

Latents = Float[torch.Tensor, "n channels latent_rows latent_frames"]


@torch.no_grad()
def predict(
    pipeline: Any, noisy: Latents, timestep: torch.Tensor, conditioning: Conditioning
) -> Latents:
    """The UNet's prediction for scaled noisy latents, with classifier-free guidance if asked for.

    The two rows of a clip, negative and positive, are neighbours in the UNet's batch. A UNet that
    was distilled for a range of guidance reads the scale instead, and computes one row.
    """
    unet, prompts = pipeline.unet, conditioning.prompts
    named: dict[str, Any] = {}
    if takes_guidance_embedding(unet):
        named["timestep_cond"] = guidance_embedding(unet, conditioning.guidance, len(noisy))
    if is_guided := unet_rows_per_clip(unet, conditioning) == 2:
        noisy, prompts = noisy.repeat_interleave(2, 0), conditioning.negative.interleave(prompts)
    named["encoder_hidden_states"] = prompts.tokens
    if prompts.pooled is not None:
        sizes = size_ids(pipeline, noisy)
        named["added_cond_kwargs"] = {"text_embeds": prompts.pooled, "time_ids": sizes}
    found = unet(noisy.to(unet.dtype), timestep, return_dict=False, **named)[0].float()
    if is_guided:
        negative, positive = found[0::2], found[1::2]
        found = negative + conditioning.guidance * (positive - negative)
    return found


def takes_guidance_embedding(unet: Any) -> bool:
    """Whether the UNet reads the guidance scale (Meng et al. 2023, arXiv 2210.03142)."""
    return unet.config.time_cond_proj_dim is not None


def unet_rows_per_clip(unet: Any, conditioning: Conditioning) -> int:
    """Rows that the UNet computes for each clip, 1 or 2."""
    return 2 if conditioning.is_guided and not takes_guidance_embedding(unet) else 1


def guidance_embedding(
    unet: Any, guidance: float | torch.Tensor, clips: int
) -> Float[torch.Tensor, "n width"]:
    """Sinusoids of the guidance scale, one for all clips or one each, as LCM's UNets read it."""
    from diffusers.models.embeddings import get_timestep_embedding

    scales = torch.as_tensor(guidance, device=unet.device).float().expand(clips)
    width = unet.config.time_cond_proj_dim
    return get_timestep_embedding(1000 * (scales - 1), width, flip_sin_to_cos=False).to(unet.dtype)


Predict = Callable[[Any, Latents, torch.Tensor, Conditioning], Latents]
"""``predict`` or a replacement of it."""


@torch.no_grad()
def sample(
    pipeline: Any,
    noise: Latents,
    conditioning: Conditioning,
    sampling: Sampling,
    generators: list[torch.Generator],
    init: InitImage | None = None,
    on_step: OnStep = ignore_step,
    predict: Predict = predict,
) -> Latents:
    """Denoise standard normal noise; returns clean latents on the CPU.

    ``generators``, one a clip, also supply the noise that ancestral and SDE samplers add.
    """
    noise = noise.to(pipeline._execution_device)
    scheduler = make_scheduler(sampling.sampler, pipeline.scheduler.config)
    scheduler.set_timesteps(sampling.steps, device=noise.device)
    timesteps, original, mask = scheduler.timesteps, noise, None
    latents = noise * scheduler.init_noise_sigma
    if init:
        timesteps = skip_to_last_timesteps(scheduler, sampling.steps, init.strength)
        original = init.encode_latents(pipeline).expand_as(noise)
        latents = add_noise(scheduler, original, noise, timesteps[:1])
        mask = init.latent_column_mask(noise.shape[-1]).to(noise) if init.span else None
    extra = step_arguments(scheduler, generators)
    for done, timestep in enumerate(timesteps):
        on_step(done, len(timesteps))
        noisy = scheduler.scale_model_input(latents, timestep)
        found = predict(pipeline, noisy, timestep, conditioning)
        latents = scheduler.step(found, timestep, latents, return_dict=False, **extra)[0]
        if mask is not None:
            reset = add_noise(scheduler, original, noise, timesteps[done + 1 : done + 2])
            latents = torch.where(mask > 0, latents, reset)
    return latents.cpu()


def skip_to_last_timesteps(scheduler: Any, steps: int, strength: float) -> torch.Tensor:
    """The last share of a scheduler's timesteps; sets the scheduler to begin there."""
    skipped = (steps - max(1, round(steps * strength))) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(skipped)
    return scheduler.timesteps[skipped:]


def add_noise(scheduler: Any, latents: Latents, noise: Latents, timestep: torch.Tensor) -> Latents:
    """Latents at the noise level of ``timestep``, (1,); unchanged for an empty one, (0,)."""
    if not len(timestep):
        return latents
    return scheduler.add_noise(latents, noise, timestep.repeat(len(latents)))


def step_arguments(scheduler: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    """Extra arguments of the scheduler's ``step``: the generators, if it adds noise."""
    names = inspect.signature(scheduler.step).parameters
    return {"generator": generators} if "generator" in names else {}


def size_ids(pipeline: Any, latents: Latents) -> Float[torch.Tensor, "n 6"]:
    """SDXL's size conditioning: original and target size are the image's, without cropping."""
    size = [length * pipeline.vae_scale_factor for length in latents.shape[2:]]
    ids = torch.tensor([*size, 0, 0, *size], device=latents.device, dtype=pipeline.unet.dtype)
    return ids.expand(len(latents), 6)
