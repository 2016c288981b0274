"""A student's UNet from latents and embeddings to a prediction, with gradients."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..generation.conditioning import PromptEmbeddings
from ..generation.denoising import guidance_embedding, takes_guidance_embedding

PIXELS = 8
"""Of a latent's side: the VAE's factor."""


def unet_prediction(
    unet: Any,
    noisy: Float[Tensor, "n channels rows frames"],
    timesteps: Int[Tensor, " n"],
    embeddings: PromptEmbeddings,
    guidance: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, "n channels rows frames"]:
    """As ``dmm.generation.denoising.predict`` without a negative prompt, on the UNet's device.

    ``guidance`` is for a UNet that reads the scale.
    """
    device = next(unet.parameters()).device
    named: dict[str, Any] = {"encoder_hidden_states": embeddings.tokens.to(device)}
    if embeddings.pooled is not None:
        pixels = [PIXELS * size for size in noisy.shape[2:]]
        sizes = torch.tensor([*pixels, 0, 0, *pixels], dtype=torch.float32, device=device)
        pooled = embeddings.pooled.to(device)
        named["added_cond_kwargs"] = {
            "text_embeds": pooled, "time_ids": sizes.expand(len(noisy), -1)
        }  # fmt: skip
    if takes_guidance_embedding(unet):
        assert guidance is not None
        named["timestep_cond"] = guidance_embedding(unet, guidance.to(device), len(noisy))
    found = unet(noisy.to(device), timesteps.to(device), return_dict=False, **named)[0]
    return found.float()
