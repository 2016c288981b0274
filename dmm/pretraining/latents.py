"""Cache of a dataset's VAE latents: one file for every 1024 images.

Files are named by a fingerprint of the VAE's encoder and of the images, so that another encoder or
other images get other files. An interrupted encoding resumes at the first missing file.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..checkpoints.networks import mean_latents
from ..files import whole_file
from ..fitting.compute import ON_CPU, Compute
from ..fitting.state import fingerprint
from ..progress import progress_bar
from .vae import as_pixels

IMAGES_A_FILE = 1024
PIXELS_AT_ONCE = 2**20
"""Sixteen images of 256 x 256, or one of 1024 x 1024."""


def refresh_cached_latents(
    vae: Any, images: UInt8[Tensor, "n rows frames *rgb"], folder: Path, compute: Compute = ON_CPU
) -> Float[Tensor, "n channels rows/8 frames/8"]:
    """Latents of all images, read from the cache in ``folder`` or encoded and added to it.

    Removes files in ``folder`` that belong to another encoder or to other images.
    """
    vae.to(compute.torch_device)
    encoder = fingerprint(vae.encoder, vae.quant_conv)
    chunks = images.split(IMAGES_A_FILE)
    paths = [folder / f"{fingerprint(encoder, chunk)[:32]}.safetensors" for chunk in chunks]
    with compute.main_first():
        for path, chunk in zip(paths, chunks, strict=True):
            if not path.is_file():
                with whole_file(path) as partial:
                    save_file({"latents": encode_latents(vae, chunk, compute)}, partial)
        for stale in set(folder.glob("*.safetensors")) - set(paths):
            stale.unlink()
    return torch.cat([load_file(path)["latents"] for path in paths])


@torch.no_grad()
def encode_latents(
    vae: Any, images: UInt8[Tensor, "n rows frames *rgb"], compute: Compute = ON_CPU
) -> Float[Tensor, "n channels rows/8 frames/8"]:
    """Mean latents times the VAE's scaling factor, as the UNet uses them; float32 on the CPU.

    In bfloat16 they are .5 % from those in float32. Pixels lie with their channels last: on a CPU,
    both together are 2.5 times as fast.
    """
    parts = []
    with progress_bar("latents", len(images)) as advance:
        rows, frames = images.shape[1:3]
        for part in images.split(max(1, PIXELS_AT_ONCE // (rows * frames))):
            pixels = as_pixels(part.to(vae.device))
            with compute.autocast():
                latents = mean_latents(vae, pixels.contiguous(memory_format=torch.channels_last))
            parts.append(latents.float().cpu().contiguous())
            advance(len(part))
    return torch.cat(parts)


def latents_identity(vae: Any) -> str:
    """Identity of a VAE's latents: a hash of its encoder as stored in half precision.

    The UNet and its LoRAs work with these latents only.
    """
    tensors = (p.half() for part in (vae.encoder, vae.quant_conv) for p in part.parameters())
    return fingerprint(*tensors)[:16]
