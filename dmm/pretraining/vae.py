"""Pretrain the VAE of a small model: mel images to latents and back.

After training, latents are whitened per channel and scaled to SDXL's scaling factor. The affine map
is folded into the VAE's two 1x1 convolutions, so that loaders need no special case.

Two changes to latents in training make them easier to learn for the UNet: noise (Yang et al. 2025,
https://arxiv.org/abs/2507.15856) and a smaller size, at which they decode to the image at that size
(EQ-VAE, https://arxiv.org/abs/2502.09509).
"""

from dataclasses import dataclass
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
LARGEST_NOISE = 1.0
"""Of latents in training, in standard deviations of their channel; a third on average."""
RESIZED_SHARE = 0.4
"""Share of steps at a smaller size."""


def as_pixels(images: UInt8[Tensor, "n rows frames *rgb"]) -> Float[Tensor, "n 3 rows frames"]:
    """Images in -1..1, the input of diffusion models; grey ones as three equal channels."""
    levels = images.float() / 127.5 - 1
    return levels.movedim(-1, 1) if levels.ndim == 4 else levels[:, None].expand(-1, 3, -1, -1)


@dataclass(frozen=True)
class LatentChange:
    """How latents are changed between encoder and decoder in training."""

    noise: Float[Tensor, "n channels rows frames"]
    """Standard normal."""
    strength: Float[Tensor, "n 1 1 1"]
    """Of the noise, in standard deviations of each channel, besides the encoder's own."""
    size: tuple[int, int] | None = None
    """Rows and frames to which latents are resized; None keeps their size."""

    def sample_changed_latents(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Sample latents, add noise to them and resize them."""
        spread = self.strength * mean.detach().std((0, 2, 3), keepdim=True)
        std = (log_variance.exp() + spread.square()).sqrt()
        latents = mean + std * self.noise
        return resize_bilinearly(latents, self.size) if self.size else latents

    def to(self, device: torch.device) -> "LatentChange":
        """The same change on a device."""
        return LatentChange(self.noise.to(device), self.strength.to(device), self.size)


def random_latent_change(
    size: tuple[int, int, int, int], generator: torch.Generator
) -> LatentChange:
    """Sample the change for latents of this size (n, channels, rows, frames)."""
    noise = torch.randn(size, generator=generator)
    strength = LARGEST_NOISE * torch.rand(len(noise), 1, 1, 1, generator=generator).square()
    if torch.rand((), generator=generator) >= RESIZED_SHARE:
        return LatentChange(noise, strength)
    rows, frames = (
        int(torch.randint(max(1, length // 4), length + 1, (), generator=generator))
        for length in size[2:]
    )
    return LatentChange(noise, strength, (rows, frames))


def resize_bilinearly(
    x: Float[Tensor, "n channels rows frames"], size: tuple[int, int]
) -> Float[Tensor, "n channels _rows _frames"]:
    """Resize bilinearly, without aliasing."""
    return F.interpolate(x, size, mode="bilinear", antialias=True)


class RoundTrip(nn.Module):
    """Encode pixels, change the latents and decode them."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: Tensor, change: LatentChange) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructed pixels, and the latent's mean and log-variance, all float32."""
        posterior = self.vae.encode(pixels).latent_dist
        mean, log_variance = posterior.mean.float(), posterior.logvar.float()
        decoded = self.vae.decode(change.sample_changed_latents(mean, log_variance)).sample
        return decoded.float(), mean, log_variance


def train_vae(
    vae: Any,
    images: UInt8[Tensor, "n rows frames"],
    schedule: Schedule,
    state: Path,
    seed: int,
    compute: Compute = ON_CPU,
) -> Any:
    """Train on grey images; returns averaged weights with whitened latents at SDXL's scale."""
    trained = _fit_vae(vae, images, schedule, state, seed, compute)
    whiten_latents(trained, images[:: max(1, len(images) // 256)])
    return trained


def train_decoder(
    vae: Any,
    images: UInt8[Tensor, "n rows frames"],
    schedule: Schedule,
    state: Path,
    seed: int,
    compute: Compute = ON_CPU,
) -> Any:
    """Train the decoder alone, so that latents and a UNet trained on them stay valid."""
    for part in (vae.encoder, vae.quant_conv):
        part.requires_grad_(False)
    return _fit_vae(vae, images, schedule, state, seed, compute, decoder_only=True)


def _fit_vae(
    vae: Any,
    images: UInt8[Tensor, "n rows frames"],
    schedule: Schedule,
    state: Path,
    seed: int,
    compute: Compute,
    decoder_only: bool = False,
) -> Any:
    round_trip = RoundTrip(vae)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    rows = compute.rows_per_share(schedule.batch_size)

    def loss(generator: torch.Generator) -> Tensor:
        seen = images[torch.randint(len(images), (rows,), generator=generator)]
        if not decoder_only:
            seen = _random_half_of_frames(seen, factor, generator)
        size = (vae.config.latent_channels, *(length // factor for length in seen.shape[1:3]))
        if decoder_only:
            noise = torch.randn((rows, *size), generator=generator)
            change = LatentChange(noise, torch.zeros(rows, 1, 1, 1))
        else:
            change = random_latent_change((rows, *size), generator)
        pixels = as_pixels(seen.to(compute.torch_device))
        with compute.autocast():
            decoded, mean, log_variance = round_trip(pixels, change.to(compute.torch_device))
        if decoder_only:
            return image_loss(decoded, pixels)
        if change.size:
            pixels = resize_bilinearly(pixels, (factor * change.size[0], factor * change.size[1]))
        return image_loss(decoded, pixels) + KL_WEIGHT * _kl_divergence(mean, log_variance)

    data = fingerprint(images)
    trained: Any = fit("VAE", round_trip, loss, schedule, state, seed, compute, data=data)
    return trained.vae


def _random_half_of_frames(images: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """Half of the frames, at a random place: clips in a step are worth more than their length."""
    frames = max(1, images.shape[2] // factor // 2) * factor
    first = int(torch.randint(images.shape[2] - frames + 1, (), generator=generator))
    return images[:, :, first : first + frames]


def image_loss(decoded: Tensor, pixels: Tensor) -> Tensor:
    """Mean absolute and squared error of pixels, and absolute error of their gradients."""
    error = decoded - pixels
    gradients = sum(
        F.l1_loss(torch.diff(decoded, dim=axis), torch.diff(pixels, dim=axis)) for axis in (2, 3)
    )
    return error.abs().mean() + 4 * error.square().mean() + gradients


def _kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean divergence of a latent value from a unit Gaussian, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


@torch.no_grad()
def whiten_latents(vae: Any, images: UInt8[Tensor, "n rows frames"]) -> None:
    """Give latent channels mean 0 and deviation 1/scaling_factor over the images, in place."""
    parts = (as_pixels(part.to(vae.device)) for part in images.split(8))
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in parts])
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3)) * vae.config.scaling_factor
    channels = len(mean)
    _scale_output_channels(vae.quant_conv, 1 / std, -mean / std)
    vae.quant_conv.bias[channels:] -= 2 * std.log()  # log-variances of the scaled latents
    after = vae.post_quant_conv
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= std[None, :, None, None]


def _scale_output_channels(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> None:
    """Map the first ``len(scale)`` output channels y to scale * y + shift, in place."""
    assert conv.bias is not None
    rows = len(scale)
    conv.weight[:rows] *= scale[:, None, None, None]
    conv.bias[:rows] = conv.bias[:rows] * scale + shift


@torch.no_grad()
def reconstruct(vae: Any, images: UInt8[Tensor, "n rows frames"]) -> Float[Tensor, "n rows frames"]:
    """Encode and decode images by the mean latent: grey, 0..1 except for overshoot."""
    parts = []
    for part in images.split(8):
        latents = vae.encode(as_pixels(part.to(vae.device))).latent_dist.mean
        parts.append(vae.decode(latents).sample.mean(1).cpu() / 2 + 0.5)
    return torch.cat(parts)


def clip_psnr(
    decoded: Float[Tensor, "n rows frames"], truth: Float[Tensor, "n rows frames"]
) -> Float[Tensor, " n"]:
    """Peak signal-to-noise ratio of each image in dB, for levels clamped to 0..1."""
    return -10 * torch.log10((decoded.clamp(0, 1) - truth).square().mean((1, 2)))


def reconstruction_psnr(vae: Any, images: UInt8[Tensor, "n rows frames"]) -> float:
    """Mean peak signal-to-noise ratio of images after encoding and decoding, in dB."""
    return float(clip_psnr(reconstruct(vae, images), images.float() / 255).mean())
