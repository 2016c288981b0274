"""Pretrain the UNet of a small model on cached latents.

v-prediction (Salimans & Ho 2022, https://arxiv.org/abs/2202.00512) on SDXL's noise schedule, all
timesteps with equal weight: min-SNR weights almost leave out the high noise in which tempo, key and
instruments are decided. High noise is sampled more often, by a logit-normal distribution (Esser et
al. 2024, https://arxiv.org/abs/2403.03206). Captions are dropped at random for classifier-free
guidance.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..checkpoints.pipeline import SCHEDULER
from ..fitting.compute import ON_CPU, Compute
from ..fitting.loop import Schedule, fit
from ..fitting.plain_attention import use_plain_attention_on_cpu
from ..fitting.state import fingerprint

CAPTION_DROPOUT = 0.1
TIMESTEPS = 1000
LOGIT_MEAN, LOGIT_STD = 1.0, 1.0
"""Normal distribution of log(t / (1000 - t)) from which timesteps are sampled."""
UNIFORM_SHARE = 0.2
"""Share of timesteps that are sampled uniformly instead, so that none is rare."""
VALIDATION_TIMESTEPS = (25, 100, 200, 300, 400, 500, 600, 700, 800, 900, 975)

Tokens = tuple[Int[Tensor, "... 77"], Int[Tensor, "... 77"]]
"""Token ids for the first and for the second text encoder."""


class Denoiser(nn.Module):
    """UNet and text encoders as one network, for joint training and inference."""

    def __init__(self, unet: Any, encoders: Any) -> None:
        super().__init__()
        self.unet, self.encoders = unet, encoders

    def forward(
        self, noisy: Tensor, timesteps: Int[Tensor, " n"], ids1: Tensor, ids2: Tensor
    ) -> Float[Tensor, "n channels rows frames"]:
        """Predicted velocity; the size conditioning is the image's own size without a crop."""
        context, pooled = self.encoders(ids1, ids2)
        pixels = [8 * size for size in noisy.shape[2:]]
        size_ids = torch.tensor([*pixels, 0, 0, *pixels], dtype=torch.float32, device=noisy.device)
        conditions = {"text_embeds": pooled, "time_ids": size_ids.expand(len(noisy), -1)}
        return self.unet(noisy, timesteps, context, added_cond_kwargs=conditions).sample.float()


def train_unet(
    unet: Any,
    latents: Float[Tensor, "n channels rows frames"],
    encoders: Any,
    ids: Tokens,
    empty: Tokens,
    schedule: Schedule,
    state: Path,
    seed: int,
    compute: Compute = ON_CPU,
    text_rate: float = 0.0,
    validate: Callable[[Any], Mapping[str, float]] | None = None,
) -> Denoiser:
    """Train on latents with several caption variants each; returns averaged weights.

    ``ids`` are (variants, n, 77), ``empty`` is the tokenised empty caption (77). The text encoders
    are trained at ``text_rate`` times the learning rate, or frozen if it is 0. ``validate`` is
    called with the averaged Denoiser, as by ``fit``.
    """
    use_plain_attention_on_cpu(unet, compute.torch_device)
    noise_schedule, probabilities = v_schedule(), timestep_probabilities()
    encoders.requires_grad_(text_rate > 0)
    denoiser = Denoiser(unet, encoders)
    rows = compute.rows_per_share(schedule.batch_size)

    def loss(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents), (rows,), generator=generator)
        variant = torch.randint(len(ids[0]), (rows,), generator=generator)
        dropped = torch.rand(rows, generator=generator) < CAPTION_DROPOUT
        tokens = [
            torch.where(dropped[:, None], blank, variants[variant, chosen]).to(compute.torch_device)
            for variants, blank in zip(ids, empty, strict=True)
        ]
        clean = latents[chosen]
        noise = torch.randn(clean.shape, generator=generator)
        timesteps = torch.multinomial(probabilities, rows, replacement=True, generator=generator)
        noisy = noise_schedule.add_noise(clean, noise, timesteps).to(compute.torch_device)
        target = noise_schedule.get_velocity(clean, noise, timesteps).to(compute.torch_device)
        with compute.autocast():
            velocity = denoiser(noisy, timesteps.to(compute.torch_device), *tokens)
        return (velocity - target).square().mean()

    trained: Any = fit(
        "UNet",
        denoiser,
        loss,
        schedule,
        state,
        seed,
        compute,
        rate_factors={"encoders": text_rate},
        data=fingerprint(latents, *ids, *empty),
        validate=validate,
    )
    return trained


def held_out_errors(
    denoiser: Denoiser,
    latents: Float[Tensor, "n channels rows frames"],
    tokens: Tokens,
    compute: Compute = ON_CPU,
) -> dict[str, float]:
    """Mean squared error of v over ``VALIDATION_TIMESTEPS``, and at each of them."""
    errors = {
        f"at {t}": float(velocity_errors(denoiser, latents, tokens, (t,), 0, compute).mean())
        for t in VALIDATION_TIMESTEPS
    }
    return {"held-out error": sum(errors.values()) / len(errors), **errors}


@torch.no_grad()
def velocity_errors(
    denoiser: Denoiser,
    latents: Float[Tensor, "n channels rows frames"],
    tokens: Tokens,
    timesteps: tuple[int, ...],
    seed: int,
    compute: Compute = ON_CPU,
) -> Float[Tensor, " n"]:
    """Mean squared error of each clip's v over the timesteps; lower is better.

    About 1 is the error of predicting 0, for latents of variance 1. Noise depends on ``seed``
    alone, so that networks are compared on equal inputs.
    """
    noise_schedule = v_schedule()
    generator = torch.Generator().manual_seed(seed)
    denoiser.to(compute.torch_device)
    errors = torch.zeros(len(latents))
    for timestep in timesteps:
        noise = torch.randn(latents.shape, generator=generator)
        for part in torch.arange(len(latents)).split(32):
            steps = torch.full((len(part),), timestep)
            noisy = noise_schedule.add_noise(latents[part], noise[part], steps)
            target = noise_schedule.get_velocity(latents[part], noise[part], steps)
            inputs = (
                x.to(compute.torch_device) for x in (noisy, steps, *(t[part] for t in tokens))
            )
            with compute.autocast():
                velocity = denoiser(*inputs)
            errors[part] += (velocity.cpu() - target).square().mean((1, 2, 3)) / len(timesteps)
    return errors


def v_schedule() -> Any:
    """SDXL's noise schedule for v-prediction."""
    from diffusers import DDPMScheduler

    return DDPMScheduler.from_config({**SCHEDULER, "prediction_type": "v_prediction"})


def timestep_probabilities() -> Float[Tensor, " t"]:
    """Probability of sampling each timestep in training; they sum to 1."""
    place = (torch.arange(TIMESTEPS) + 0.5) / TIMESTEPS
    normal = torch.exp(-((torch.logit(place) - LOGIT_MEAN) ** 2) / (2 * LOGIT_STD**2))
    density = normal / (place * (1 - place))
    return (1 - UNIFORM_SHARE) * density / density.sum() + UNIFORM_SHARE / TIMESTEPS
