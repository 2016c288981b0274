"""Train a tiny VAE for the teacher's latents, as TAESD is one for SDXL's.

SDXL's decoder takes 198 MB and overflows in half precision. Decoder and encoder are trained on the
dataset's images and the teacher's latents of them (https://github.com/madebyollin/taesd).
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..checkpoints.architecture import Shapes
from ..checkpoints.custom_layout import CustomLayout, canonical_json
from ..errors import PresetError
from ..fitting.loop import fit
from ..fitting.state import fingerprint
from ..pretraining.vae import as_pixels, image_loss
from .presets import DecoderPart
from .teacher import Teacher

BORDER = 1
"""Latents along a crop's edges without loss, because their neighbours are missing."""


def tiny_vae_config(part: DecoderPart, shapes: Shapes) -> dict[str, Any]:
    """Arguments of ``TinyVae``; PresetError if it would not fit the teacher's latents."""
    levels = len(shapes.vae_channels)
    if not len(part.widths) == len(part.blocks) == levels:
        raise PresetError(
            f"[decoder] has {len(part.widths)} widths and {len(part.blocks)} blocks; "
            f"the teacher's VAE has {levels} resolutions: give {levels} of each"
        )
    return {
        "latent_channels": shapes.latent_channels,
        "colours": part.colours,
        "block_out_channels": list(part.widths),
        "blocks": list(part.blocks),
    }


def layout_with_tiny_vae(part: DecoderPart, teacher: Teacher, own: CustomLayout) -> CustomLayout:
    """The layout of a student with this tiny VAE; PresetError if it does not fit the teacher."""
    if part.colours == 1 and teacher.settings.stereo:
        raise PresetError("colours = 1 loses the side channel of a stereo teacher; set colours = 3")
    return CustomLayout(own.unet, canonical_json(tiny_vae_config(part, teacher.shapes)))


def train_tiny_vae(
    part: DecoderPart,
    teacher: Teacher,
    images: UInt8[Tensor, "n rows frames *rgb"],
    latents: Float[Tensor, "n channels latent_rows latent_frames"],
    folder: Path,
    seed: int,
) -> Any:
    """Train a tiny VAE on images and the teacher's latents of them; returns averaged weights."""
    from ..checkpoints.tiny_vae import TinyVae

    compute = teacher.compute
    torch.manual_seed(seed)
    vae = TinyVae(**tiny_vae_config(part, teacher.shapes))
    rows = compute.rows_per_share(part.batch_size)
    factor = images.shape[1] // latents.shape[2]
    side = min(part.crop // factor, *latents.shape[2:])

    def loss(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(images), (rows,), generator=generator)
        top, left = (
            int(torch.randint(size - side + 1, (), generator=generator))
            for size in latents.shape[2:]
        )
        clean = latents[chosen, :, top : top + side, left : left + side]
        corner = top * factor, left * factor
        cut = [slice(start, start + side * factor) for start in corner]
        pixels = as_pixels(images[chosen][:, cut[0], cut[1]].to(compute.torch_device))
        with compute.autocast():
            painted = vae.decoder(clean.to(compute.torch_device)).float()
            found = vae.encoder(pixels).float()
        inner = slice(BORDER * factor, -BORDER * factor)
        wanted = pixels[:, : part.colours, inner, inner]
        inside = slice(BORDER, -BORDER)
        known = clean.to(found)[:, :, inside, inside]
        encoding = (found[:, :, inside, inside] - known).square().mean()
        return image_loss(painted[:, :, inner, inner], wanted) + encoding

    data = fingerprint(teacher.identity, images, part.model_dump_json(exclude={"steps"}))
    state = folder / "decoder.pt"
    return fit("decoder", vae, loss, part.schedule(), state, seed, compute, data=data)
