"""A base model's VAE alone: mel image to latents and back, as drawing and training use it."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

Picture = UInt8[np.ndarray, "rows frames *colours"]
Vae = Callable[[Picture], Picture]


def load_vae(base: Path) -> Vae:
    """Load the VAE of an SD 1.5 or SDXL checkpoint, in 32 bits on the CPU.

    ModelError if it is none. The other networks, twenty times its size, are not loaded.
    """
    import torch
    from diffusers import AutoencoderKL

    from dmm.checkpoints.architecture import read_architecture
    from dmm.checkpoints.pipeline import write_configs

    shapes = read_architecture(base)
    with tempfile.TemporaryDirectory() as folder:
        write_configs(Path(folder), shapes, "epsilon")
        vae: Any = AutoencoderKL.from_single_file(
            str(base), config=folder, subfolder="vae", torch_dtype=torch.float32,
            local_files_only=True,
        )  # fmt: skip

    @torch.no_grad()
    def through(image: Picture) -> Picture:
        """By way of the mean latent; of a grey picture's three restored channels, the mean."""
        colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        pixels = torch.from_numpy(np.ascontiguousarray(colours)).permute(2, 0, 1)[None]
        latents = vae.encode(pixels / 127.5 - 1).latent_dist.mean
        levels = (vae.decode(latents).sample[0].permute(1, 2, 0).numpy() + 1) * 127.5
        levels = levels if image.ndim == 3 else levels.mean(-1)
        return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)

    return through
