"""Encode mel images by a base model's VAE and decode them, to hear what the VAE changes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

MelImage = UInt8[np.ndarray, "rows frames *colours"]
Vae = Callable[[MelImage], MelImage]


def load_vae_round_trip(base: Path) -> Vae:
    """Load only the VAE of an SD 1.5 or SDXL checkpoint, in 32 bits on the CPU.

    ModelError if the file is no such checkpoint.
    """
    import torch

    from dmm.checkpoints import pipeline
    from dmm.checkpoints.networks import mean_latents

    vae = pipeline.load_vae(base)

    @torch.no_grad()
    def reconstruct(image: MelImage) -> MelImage:
        """Encode to the mean latent and decode; a grey image is the mean of all channels."""
        colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        pixels = torch.from_numpy(np.ascontiguousarray(colours)).permute(2, 0, 1)[None]
        latents = mean_latents(vae, pixels / 127.5 - 1) / vae.config.scaling_factor
        levels = (vae.decode(latents).sample[0].permute(1, 2, 0).numpy() + 1) * 127.5
        levels = levels if image.ndim == 3 else levels.mean(-1)
        return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)

    return reconstruct
