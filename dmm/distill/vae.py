"""The VAE of a small model: mel images to latents and back.

After training the latents are whitened per channel and scaled to SDXL's own scaling factor by
folding an affine map into the VAE's two 1x1 convolutions, so that no loader needs to know.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from ..progress import progress_bar
from .loop import Schedule, fit

KL_WEIGHT = 1e-4


def as_pixels(images: UInt8[Tensor, "n rows frames"]) -> Float[Tensor, "n 3 rows frames"]:
    """Grey images as three equal channels in -1..1, what diffusion models read."""
    return (images.float() / 127.5 - 1)[:, None].expand(-1, 3, -1, -1)


def train_vae(
    vae: Any, images: UInt8[Tensor, "n rows frames"], schedule: Schedule, state: Path, seed: int
) -> Any:
    """Train on grey images; returns the averaged VAE with whitened latents at SDXL's scale."""

    def loss(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(images), (schedule.batch_size,), generator=generator)
        return _loss(vae, as_pixels(images[chosen]), generator)

    trained = fit("VAE", vae, loss, schedule, state, seed)
    whiten(trained, images[:: max(1, len(images) // 256)])
    return trained


def _loss(vae: Any, pixels: Tensor, generator: torch.Generator) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(pixels).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator)
        restored = vae.decode(posterior.mean + posterior.std * noise).sample.float()
    error = restored - pixels
    edges = sum(
        F.l1_loss(torch.diff(restored, dim=axis), torch.diff(pixels, dim=axis)) for axis in (2, 3)
    )
    return error.abs().mean() + 4 * error.square().mean() + edges + KL_WEIGHT * _kl(posterior)


def _kl(posterior: Any) -> Tensor:
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


@torch.no_grad()
def whiten(vae: Any, images: UInt8[Tensor, "n rows frames"]) -> None:
    """Give every latent channel mean 0 and deviation 1/scaling_factor over the images, in place."""
    latents = torch.cat([vae.encode(as_pixels(part)).latent_dist.mean for part in images.split(8)])
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3)) * vae.config.scaling_factor
    channels = len(mean)
    _scale_rows(vae.quant_conv, 1 / std, -mean / std)
    vae.quant_conv.bias[channels:] -= 2 * std.log()  # log-variances of the scaled latents
    after = vae.post_quant_conv
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= std[None, :, None, None]


def _scale_rows(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> None:
    """Map the first ``len(scale)`` output channels y to scale * y + shift."""
    assert conv.bias is not None
    rows = len(scale)
    conv.weight[:rows] *= scale[:, None, None, None]
    conv.bias[:rows] = conv.bias[:rows] * scale + shift


@torch.no_grad()
def encode_latents(
    vae: Any, images: UInt8[Tensor, "n rows frames"]
) -> Float[Tensor, "n channels rows/8 frames/8"]:
    """Mean latents at unit scale, as the UNet sees them."""
    parts = []
    with progress_bar("latents", len(images)) as advance:
        for part in images.split(16):
            parts.append(vae.encode(as_pixels(part)).latent_dist.mean)
            advance(len(part))
    return torch.cat(parts) * vae.config.scaling_factor


@torch.no_grad()
def reconstruction_psnr(vae: Any, images: UInt8[Tensor, "n rows frames"]) -> float:
    """Mean over images of the peak signal-to-noise ratio after a round trip, dB."""
    ratios = []
    for part in images.split(8):
        pixels = as_pixels(part)
        restored = vae.decode(vae.encode(pixels).latent_dist.mean).sample.clamp(-1, 1)
        ratios.append(10 * torch.log10(4 / (restored - pixels).square().mean((1, 2, 3))))
    return float(torch.cat(ratios).mean())
