"""Measure a training step on torch's meta device: networks of full size that take no memory."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ....checkpoints import networks
from ....checkpoints.sdxl_shapes import SdxlShapes
from .lora import add_lora
from .network_pass import (
    CHECKPOINTED,
    CHECKPOINTED_TEXT,
    LikeGpu,
    checkpoint_blocks,
    quiet_bytes,
    step_bytes,
)
from .step import CHUNK, Measured, Step

META = torch.device("meta")
TIME_IDS = 6
"""Numbers that tell SDXL of the original size, the crop and the target size."""


def measure(step: Step) -> Measured:
    """Build the step's networks and send a batch forward and back; seconds for SDXL."""
    with META:
        built = networks.build(step.shapes)
        parts = Parts(built["unet"], text_encoders(built), built["vae"])
        learning = _prepare(parts, step)
    shapes = Counter(tuple(p.shape) for lora in learning for p in lora.parameters())
    counts = [sum(p.numel() for p in part.parameters()) for part in parts.all()]
    return Measured(
        lora=tuple(sorted(shapes.items())),
        lora_modules=len(learning),
        unet=counts[0],
        text=sum(counts[1:-1]),
        vae=counts[-1],
        step=_step(parts, step, learning),
        encoding=_encoding(parts.vae, step),
        decoding=_decoding(parts.vae, step),
    )


@dataclass(frozen=True)
class Parts:
    """The networks of a base."""

    unet: Any
    text_encoders: list[Any]
    vae: Any

    def all(self) -> list[nn.Module]:
        """UNet, text encoders, VAE."""
        return [self.unet, *self.text_encoders, self.vae]


def text_encoders(built: dict[str, Any]) -> list[Any]:
    """Those of a pipeline's networks, in order."""
    return [network for name, network in built.items() if name.startswith("text_encoder")]


def _prepare(parts: Parts, step: Step) -> list[nn.Module]:
    """Precision, LoRA and checkpoints as the engine sets them up; returns the LoRA's modules."""
    for part in parts.all():
        part.requires_grad_(False)
    parts.unet.to(getattr(torch, step.unet_dtype))
    parts.vae.to(getattr(torch, step.vae_dtype))
    learning: list[nn.Module] = []
    if step.trains_unet:
        learning += add_lora(parts.unet, step.rank, step.conv_rank)
    for encoder in parts.text_encoders:
        encoder.to(getattr(torch, step.text_dtype))
        if step.trains_text:
            learning += add_lora(encoder, step.rank)
    if step.checkpointing:
        checkpoint_blocks(parts.unet, CHECKPOINTED[step.shapes.kind])
        for encoder in parts.text_encoders if step.trains_text else ():
            checkpoint_blocks(encoder, CHECKPOINTED_TEXT)
    for lora in learning:
        lora.to(getattr(torch, step.lora_dtype))
    return learning


def _step(parts: Parts, step: Step, learning: list[nn.Module]) -> int:
    shapes, dtype = step.shapes, getattr(torch, step.compute)
    factor = 2 ** (len(shapes.vae_channels) - 1)
    size = (step.batch, shapes.latent_channels, step.height // factor, step.width // factor)
    latents = _empty(*size, dtype=dtype, learns=step.trains_unet)
    timesteps = _empty(step.batch, dtype=torch.long)
    context = _empty(step.batch, step.tokens, shapes.context_dim, dtype=dtype)
    inputs = {"latents": latents, "timesteps": timesteps, "context": context}
    if isinstance(shapes, SdxlShapes):
        inputs["pooled"] = _empty(step.batch, shapes.te2.hidden_size, dtype=dtype)
        inputs["time_ids"] = _empty(step.batch, TIME_IDS)

    def forward() -> torch.Tensor:
        given = inputs | (_read(parts.text_encoders, step) if step.trains_text else {})
        added = None
        if "time_ids" in given:
            added = {"text_embeds": given["pooled"], "time_ids": given["time_ids"]}
        return parts.unet(
            given["latents"], given["timesteps"], given["context"], added_cond_kwargs=added
        ).sample

    known = [p for part in (*parts.all(), *learning) for p in part.parameters()]
    known += [*inputs.values(), *(b for part in parts.all() for b in part.buffers())]
    mode = LikeGpu(None if step.compute == "float32" else dtype, step.keeps_scores)
    return step_bytes(
        forward, mode, known, [p for lora in learning for p in lora.parameters()], step.accumulates
    )


def _read(encoders: list[Any], step: Step) -> dict[str, torch.Tensor]:
    """What text encoders that are trained say of the captions; long ones are read in chunks."""
    chunks = (step.tokens - 2) // (CHUNK - 2)
    ids = _empty(step.batch * chunks, CHUNK, dtype=torch.long)
    found = [encoder(ids, output_hidden_states=True) for encoder in encoders]
    states = torch.cat([one.hidden_states[-2] for one in found], dim=-1)
    read = {"context": states.reshape(step.batch, chunks * CHUNK, -1)[:, : step.tokens]}
    if len(found) > 1:
        read["pooled"] = found[1].text_embeds[::chunks]
    return read


def _encoding(vae: Any, step: Step) -> int:
    images = _empty(step.vae_batch, 3, step.height, step.width, dtype=vae.dtype)
    return _quiet(vae, lambda: vae.encode(images).latent_dist.sample())


def _decoding(vae: Any, step: Step) -> int:
    factor = 2 ** (len(step.shapes.vae_channels) - 1)
    size = (1, step.shapes.latent_channels, step.height // factor, step.width // factor)
    latents = _empty(*size, dtype=vae.dtype)
    return _quiet(vae, lambda: vae.decode(latents).sample)


def _empty(*size: int, dtype: torch.dtype = torch.float32, learns: bool = False) -> torch.Tensor:
    return torch.empty(size, dtype=dtype, device=META, requires_grad=learns)


def _quiet(vae: Any, forward: Any) -> int:
    return quiet_bytes(forward, LikeGpu(None), list(vae.parameters()))
