"""Count the memory of a training step on torch's meta device, whose tensors have no content."""

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
    GpuEmulation,
    checkpoint_blocks,
    inference_peak_bytes,
    training_peak_bytes,
)
from .step import CHUNK, CountedStep, TrainingStep

META = torch.device("meta")
TIME_IDS = 6
"""Numbers of SDXL's size conditioning: original size, crop and target size."""


def count_step(step: TrainingStep) -> CountedStep:
    """Count parameters, and peak bytes of a step and of the VAE; takes seconds for SDXL."""
    with META:
        built = networks.build_networks(step.shapes)
        base = BaseNetworks(built["unet"], text_encoders(built), built["vae"])
        trained = _prepare_networks(base, step)
    shapes = Counter(tuple(p.shape) for lora in trained for p in lora.parameters())
    counts = [sum(p.numel() for p in part.parameters()) for part in base.all()]
    return CountedStep(
        lora=tuple(sorted(shapes.items())),
        lora_modules=len(trained),
        unet=counts[0],
        text=sum(counts[1:-1]),
        vae=counts[-1],
        step=_step_bytes(base, step, trained),
        encoding=_encoding_bytes(base.vae, step),
        decoding=_decoding_bytes(base.vae, step),
    )


@dataclass(frozen=True)
class BaseNetworks:
    """The networks of a base model."""

    unet: Any
    text_encoders: list[Any]
    vae: Any

    def all(self) -> list[nn.Module]:
        """UNet, text encoders, VAE."""
        return [self.unet, *self.text_encoders, self.vae]


def text_encoders(built: dict[str, Any]) -> list[Any]:
    """The text encoders among a pipeline's networks, in order."""
    return [network for name, network in built.items() if name.startswith("text_encoder")]


def _prepare_networks(base: BaseNetworks, step: TrainingStep) -> list[nn.Module]:
    """Set up dtypes, LoRA and checkpointing in place, as the engine does; returns LoRA modules."""
    for part in base.all():
        part.requires_grad_(False)
    base.unet.to(getattr(torch, step.unet_dtype))
    base.vae.to(getattr(torch, step.vae_dtype))
    trained: list[nn.Module] = []
    if step.trains_unet:
        trained += add_lora(base.unet, step.rank, step.conv_rank)
    for encoder in base.text_encoders:
        encoder.to(getattr(torch, step.text_dtype))
        if step.trains_text:
            trained += add_lora(encoder, step.rank)
    if step.checkpointing:
        checkpoint_blocks(base.unet, CHECKPOINTED[step.shapes.kind])
        for encoder in base.text_encoders if step.trains_text else ():
            checkpoint_blocks(encoder, CHECKPOINTED_TEXT)
    for lora in trained:
        lora.to(getattr(torch, step.lora_dtype))
    return trained


def _step_bytes(base: BaseNetworks, step: TrainingStep, trained: list[nn.Module]) -> int:
    """Peak bytes of activations and gradients in a forward and backward pass."""
    shapes, dtype = step.shapes, getattr(torch, step.compute)
    factor = 2 ** (len(shapes.vae_channels) - 1)
    size = (step.batch, shapes.latent_channels, step.height // factor, step.width // factor)
    latents = _empty(*size, dtype=dtype, requires_grad=step.trains_unet)
    timesteps = _empty(step.batch, dtype=torch.long)
    context = _empty(step.batch, step.tokens, shapes.context_dim, dtype=dtype)
    inputs = {"latents": latents, "timesteps": timesteps, "context": context}
    if isinstance(shapes, SdxlShapes):
        inputs["pooled"] = _empty(step.batch, shapes.te2.hidden_size, dtype=dtype)
        inputs["time_ids"] = _empty(step.batch, TIME_IDS)

    def forward() -> torch.Tensor:
        given = inputs | (_encode_captions(base.text_encoders, step) if step.trains_text else {})
        added = None
        if "time_ids" in given:
            added = {"text_embeds": given["pooled"], "time_ids": given["time_ids"]}
        return base.unet(
            given["latents"], given["timesteps"], given["context"], added_cond_kwargs=added
        ).sample

    known = [p for part in (*base.all(), *trained) for p in part.parameters()]
    known += [*inputs.values(), *(b for part in base.all() for b in part.buffers())]
    mode = GpuEmulation(None if step.compute == "float32" else dtype, step.stores_scores)
    return training_peak_bytes(
        forward, mode, known, [p for lora in trained for p in lora.parameters()], step.accumulates
    )


def _encode_captions(encoders: list[Any], step: TrainingStep) -> dict[str, torch.Tensor]:
    """Outputs of trained text encoders for the captions; long captions are encoded in chunks."""
    chunks = (step.tokens - 2) // (CHUNK - 2)
    ids = _empty(step.batch * chunks, CHUNK, dtype=torch.long)
    found = [encoder(ids, output_hidden_states=True) for encoder in encoders]
    states = torch.cat([one.hidden_states[-2] for one in found], dim=-1)
    encoded = {"context": states.reshape(step.batch, chunks * CHUNK, -1)[:, : step.tokens]}
    if len(found) > 1:
        encoded["pooled"] = found[1].text_embeds[::chunks]
    return encoded


def _encoding_bytes(vae: Any, step: TrainingStep) -> int:
    images = _empty(step.vae_batch, 3, step.height, step.width, dtype=vae.dtype)
    return _peak_activation_bytes(vae, lambda: vae.encode(images).latent_dist.sample())


def _decoding_bytes(vae: Any, step: TrainingStep) -> int:
    """Peak bytes of decoding one image by the VAE."""
    factor = 2 ** (len(step.shapes.vae_channels) - 1)
    size = (1, step.shapes.latent_channels, step.height // factor, step.width // factor)
    latents = _empty(*size, dtype=vae.dtype)
    return _peak_activation_bytes(vae, lambda: vae.decode(latents).sample)


def _empty(
    *size: int, dtype: torch.dtype = torch.float32, requires_grad: bool = False
) -> torch.Tensor:
    return torch.empty(size, dtype=dtype, device=META, requires_grad=requires_grad)


def _peak_activation_bytes(vae: Any, forward: Any) -> int:
    """Peak bytes of a forward pass without gradients; the VAE's weights are not counted."""
    return inference_peak_bytes(forward, GpuEmulation(None), list(vae.parameters()))
