"""Parameters, bytes, UNet passes and work of a model, and a student's errors by timestep."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..checkpoints.architecture import Shapes, read_architecture
from ..checkpoints.networks import build_networks
from ..generation.denoising import guidance_embedding, takes_guidance_embedding
from ..generation.sampling import Sampling
from .examples import Examples
from .noise_schedule import NoiseSchedule
from .teacher import Teacher

PARTS = {
    "unet": "UNet",
    "text_encoder": "text encoder 1",
    "text_encoder_2": "text encoder 2",
    "vae.encoder": "VAE encoder",
    "vae.decoder": "VAE decoder",
}
TIMESTEPS = (50, 200, 350, 500, 650, 800, 950)
MAX_TOKENS = 77
LATENT_SIDE = 8


@dataclass(frozen=True)
class ModelCost:
    """Size of a model and work of a clip."""

    parameters: dict[str, int]
    """Count for each part, by the names in ``PARTS``."""
    file_bytes: int
    passes: int
    """UNet passes of a clip."""
    flops: float
    """Floating-point operations of these passes; a multiply-add counts as two."""


def model_cost(model: Path, sampling: Sampling, rows: int, frames: int) -> ModelCost:
    """Cost of a checkpoint with this sampling, for mel images of ``rows`` times ``frames``."""
    shapes = read_architecture(model)
    with torch.device("meta"):
        networks = build_networks(shapes)
    counts = {}
    for part, name in PARTS.items():
        network = networks.get(part.split(".")[0])
        for step in part.split(".")[1:]:
            network = getattr(network, step)
        if network is not None:
            counts[name] = sum(p.numel() for p in network.parameters())
    reads_guidance = takes_guidance_embedding(networks["unet"])
    passes = sampling.steps * (2 if sampling.guidance > 1 and not reads_guidance else 1)
    each = unet_flops(networks["unet"], shapes, rows, frames)
    return ModelCost(counts, model.stat().st_size, passes, passes * each)


def unet_flops(unet: Any, shapes: Shapes, rows: int, frames: int) -> float:
    """Floating-point operations of one pass for one clip; the UNet is on the meta device."""
    with torch.device("meta"):
        placed, named = empty_unet_inputs(unet, shapes, 1, rows, frames)
        return flops_of(lambda: unet(*placed, **named))


def flops_of(forward: Callable[[], object]) -> float:
    """Floating-point operations of a call, which may compute on the meta device."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        forward()
    return float(counter.get_total_flops())


def empty_unet_inputs(
    unet: Any, shapes: Shapes, clips: int, rows: int, frames: int
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Empty inputs of a UNet on the current device, for mel images of this size."""
    factor = LATENT_SIDE
    latents = torch.empty(clips, shapes.latent_channels, rows // factor, frames // factor)
    named: dict[str, Any] = {}
    if hasattr(shapes, "te2"):
        pooled = torch.empty(clips, shapes.te2.hidden_size)  # type: ignore[union-attr]
        named["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": torch.empty(clips, 6)}
    if takes_guidance_embedding(unet):
        named["timestep_cond"] = guidance_embedding(unet, 1.0, clips)
    context = torch.empty(clips, MAX_TOKENS, shapes.context_dim)
    return (latents, torch.zeros(clips), context), named


@torch.no_grad()
def errors_by_timestep(
    student: Teacher, teacher: Teacher, examples: Examples, clips: int
) -> dict[int, float]:
    """Squared error to the teacher's guided prediction, relative to that prediction's square.

    0 is equality, 1 is as bad as predicting zero. Clips and noise are the same at every timestep.
    """
    noise_schedule, found = NoiseSchedule.of(teacher.prediction_type), {}
    batch = examples.batch(torch.arange(clips))
    clean = examples.noise_schedule.clean_latents(batch.target, batch.noisy, batch.timesteps)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    for timestep in TIMESTEPS:
        at = torch.full((clips,), timestep)
        noisy = noise_schedule.add_noise(clean, noise, at)
        wanted = teacher.guided_prediction(noisy, at, batch.embeddings, batch.guidance)
        own = student.guided_prediction(
            noisy, at, batch.embeddings, student_guidance_scale(student, batch.guidance)
        )
        found[timestep] = float((own - wanted).square().mean() / wanted.square().mean())
    return found


def student_guidance_scale(student: Teacher, guidance: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The guidance scale for a student: the teacher's if it reads one, else 1."""
    return (
        guidance if takes_guidance_embedding(student.pipeline.unet) else torch.ones_like(guidance)
    )


def cost_table_rows(rows: Sequence[tuple[str, ModelCost]]) -> list[tuple[str, ...]]:
    """Costs side by side, one row for each figure."""
    lines: list[tuple[str, ...]] = [("", *(name for name, _ in rows))]
    for part in PARTS.values():
        if any(part in weight.parameters for _, weight in rows):
            counts = (weight.parameters.get(part, 0) for _, weight in rows)
            lines.append((f"{part}, parameters", *(_short_count(count) for count in counts)))
    lines.append(("file", *(f"{weight.file_bytes / 1e6:.3g} MB" for _, weight in rows)))
    lines.append(("UNet passes a clip", *(str(weight.passes) for _, weight in rows)))
    lines.append(("UNet work a clip", *(f"{w.flops / 1e9:.3g} GFLOP" for _, w in rows)))
    return lines


def _short_count(count: int) -> str:
    """A count with three figures.

    >>> _short_count(1_234_567), _short_count(95_300)
    ('1.23 M', '95.3 k')
    """
    return f"{count / 1e6:.3g} M" if count >= 1e6 else f"{count / 1e3:.3g} k"
