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

from ..fitting.compute import ON_CPU, Compute
from ..fitting.loop import Schedule, fit
from ..fitting.state import fingerprint

KL_WEIGHT = 1e-4


def as_pixels(images: UInt8[Tensor, "n rows frames"]) -> Float[Tensor, "n 3 rows frames"]:
    """Grey images as three equal channels in -1..1, what diffusion models read."""
    return (images.float() / 127.5 - 1)[:, None].expand(-1, 3, -1, -1)


class RoundTrip(nn.Module):
    """Pixels to a drawn latent and back."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Restored pixels, and the latent's mean and log-variance, all float32."""
        posterior = self.vae.encode(pixels).latent_dist
        restored = self.vae.decode(posterior.mean + posterior.std * noise).sample
        return restored.float(), posterior.mean.float(), posterior.logvar.float()


def train_vae(
    vae: Any,
    images: UInt8[Tensor, "n rows frames"],
    schedule: Schedule,
    state: Path,
    seed: int,
    compute: Compute = ON_CPU,
) -> Any:
    """Train on grey images; returns the averaged VAE with whitened latents at SDXL's scale."""
    trained = _fit(vae, images, schedule, state, seed, compute, KL_WEIGHT)
    whiten(trained, images[:: max(1, len(images) // 256)])
    return trained


def train_decoder(
    vae: Any,
    images: UInt8[Tensor, "n rows frames"],
    schedule: Schedule,
    state: Path,
    seed: int,
    compute: Compute = ON_CPU,
) -> Any:
    """Train what follows the latents alone, so that a UNet that knows them keeps working."""
    for part in (vae.encoder, vae.quant_conv):
        part.requires_grad_(False)
    return _fit(vae, images, schedule, state, seed, compute, kl_weight=0.0)


def _fit(
    vae: Any,
    images: UInt8[Tensor, "n rows frames"],
    schedule: Schedule,
    state: Path,
    seed: int,
    compute: Compute,
    kl_weight: float,
) -> Any:
    round_trip = RoundTrip(vae)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    latent = (vae.config.latent_channels, *(size // factor for size in images.shape[1:]))
    rows = compute.rows(schedule.batch_size)

    def loss(generator: torch.Generator) -> Tensor:
        chosen = torch.randint(len(images), (rows,), generator=generator)
        noise = torch.randn((rows, *latent), generator=generator).to(compute.place)
        pixels = as_pixels(images[chosen].to(compute.place))
        with compute.autocast():
            restored, mean, log_variance = round_trip(pixels, noise)
        return _picture_loss(restored, pixels) + kl_weight * _kl(mean, log_variance)

    data = fingerprint(images)
    trained: Any = fit("VAE", round_trip, loss, schedule, state, seed, compute, data=data)
    return trained.vae


def _picture_loss(restored: Tensor, pixels: Tensor) -> Tensor:
    """Mean absolute and squared errors of levels, and absolute errors of their edges."""
    error = restored - pixels
    edges = sum(
        F.l1_loss(torch.diff(restored, dim=axis), torch.diff(pixels, dim=axis)) for axis in (2, 3)
    )
    return error.abs().mean() + 4 * error.square().mean() + edges


def _kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean divergence per latent number from a unit Gaussian, nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


@torch.no_grad()
def whiten(vae: Any, images: UInt8[Tensor, "n rows frames"]) -> None:
    """Give every latent channel mean 0 and deviation 1/scaling_factor over the images, in place."""
    parts = (as_pixels(part.to(vae.device)) for part in images.split(8))
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in parts])
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
def reconstruct(vae: Any, images: UInt8[Tensor, "n rows frames"]) -> Float[Tensor, "n rows frames"]:
    """Images after a round trip through the mean latent: grey, 0..1 but for overshoot."""
    parts = []
    for part in images.split(8):
        latents = vae.encode(as_pixels(part.to(vae.device))).latent_dist.mean
        parts.append(vae.decode(latents).sample.mean(1).cpu() / 2 + 0.5)
    return torch.cat(parts)


def clip_psnr(
    restored: Float[Tensor, "n rows frames"], truth: Float[Tensor, "n rows frames"]
) -> Float[Tensor, " n"]:
    """Peak signal-to-noise ratio of each image of levels in 0..1, after clamping, dB."""
    return -10 * torch.log10((restored.clamp(0, 1) - truth).square().mean((1, 2)))


def reconstruction_psnr(vae: Any, images: UInt8[Tensor, "n rows frames"]) -> float:
    """Mean over images of the peak signal-to-noise ratio after a round trip, dB."""
    return float(clip_psnr(reconstruct(vae, images), images.float() / 255).mean())
