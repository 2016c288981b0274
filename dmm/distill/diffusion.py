"""The UNet of a small model, trained from scratch on cached latents.

v-prediction (Salimans & Ho 2022, https://arxiv.org/abs/2202.00512) with min-SNR weights (Hang et
al. 2023, https://arxiv.org/abs/2303.09556) on SDXL's noise schedule; captions are dropped at
random so that classifier-free guidance works.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..sdxl_pipeline import SCHEDULER
from .loop import Schedule, fit

MIN_SNR_GAMMA = 5.0
CAPTION_DROPOUT = 0.1
BATCH_FOR_TEXT = 64


def train_unet(
    unet: Any,
    latents: Float[Tensor, "n channels rows frames"],
    encoders: Any,
    ids: tuple[Int[Tensor, "variants n 77"], Int[Tensor, "variants n 77"]],
    empty: tuple[Int[Tensor, " 77"], Int[Tensor, " 77"]],
    schedule: Schedule,
    state: Path,
    seed: int,
) -> Any:
    """Train on latents whose captions stand in ``variants`` wordings; returns the averaged UNet.

    ``empty`` is the tokenised empty caption; size conditioning is the image's own size, uncropped.
    """
    from diffusers import DDPMScheduler

    noise_schedule: Any = DDPMScheduler.from_config(
        {**SCHEDULER, "prediction_type": "v_prediction"}
    )
    weights = min_snr_weights(noise_schedule.alphas_cumprod)
    pixels = [8 * size for size in latents.shape[2:]]
    size_ids = torch.tensor([*pixels, 0, 0, *pixels], dtype=torch.float32)
    size_ids = size_ids.expand(schedule.batch_size, -1)

    def loss(generator: torch.Generator) -> Tensor:
        count = (schedule.batch_size,)
        chosen = torch.randint(len(latents), count, generator=generator)
        wording = torch.randint(len(ids[0]), count, generator=generator)
        dropped = torch.rand(count, generator=generator) < CAPTION_DROPOUT
        tokens = [
            torch.where(dropped[:, None], blank, variants[wording, chosen])
            for variants, blank in zip(ids, empty, strict=True)
        ]
        clean = latents[chosen]
        noise = torch.randn(clean.shape, generator=generator)
        timesteps = torch.randint(1000, count, generator=generator)
        noisy = noise_schedule.add_noise(clean, noise, timesteps)
        target = noise_schedule.get_velocity(clean, noise, timesteps)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                context, pooled = encoders(*tokens)
            conditions = {"text_embeds": pooled, "time_ids": size_ids}
            velocity = unet(noisy, timesteps, context, added_cond_kwargs=conditions).sample
        error = (velocity.float() - target).square().mean((1, 2, 3))
        return (weights[timesteps] * error).mean()

    return fit("UNet", unet, loss, schedule, state, seed)


def min_snr_weights(alphas_cumprod: Float[Tensor, " t"]) -> Float[Tensor, " t"]:
    """Loss weight per timestep for v-prediction: min(SNR, gamma) / (SNR + 1)."""
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=MIN_SNR_GAMMA) / (snr + 1)
