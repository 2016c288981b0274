"""Send mel images through a base model's VAE: to latents and back, as generated clips go."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

MelImage = UInt8[np.ndarray, "rows frames *colours"]
Vae = Callable[[MelImage], MelImage]


def load_vae(base: Path) -> Vae:
    """Load only the VAE of an SD 1.5 or SDXL checkpoint, in 32 bits on the CPU.

    ModelError if the file is no such checkpoint.
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
    def reconstruct(image: MelImage) -> MelImage:
        """Encode to the mean latent and decode; a grey image is the mean of all channels."""
        colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        pixels = torch.from_numpy(np.ascontiguousarray(colours)).permute(2, 0, 1)[None]
        latents = vae.encode(pixels / 127.5 - 1).latent_dist.mean
        levels = (vae.decode(latents).sample[0].permute(1, 2, 0).numpy() + 1) * 127.5
        levels = levels if image.ndim == 3 else levels.mean(-1)
        return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)

    return reconstruct
