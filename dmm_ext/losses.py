"""Losses of edges and structure that are added to the main loss, and weights of mel rows.

The added losses work on the residual r = prediction - target, (batch, channels, rows, frames):
columns are time, rows are mel bands with the lowest frequency in the last row; a latent is 8 pixels
wide. Each gives one value per clip, lower is better, by the same ``measure`` as the main loss.

Which residual? With x_t = a x0 + s e, a^2 + s^2 = 1, SNR = a^2 / s^2, and v = a e - s x0, an error
d = x0' - x0 in the clean latents is, for the same x_t, the residual

    e' - e = -(a / s) d        v' - v = -(1 / s) d

The losses here take a linear map of r (differences, averages), so in the latents, in the noise and
in v they see the same shape; squared, they differ by one factor per clip, SNR or SNR + 1. Min-SNR
weights by min(SNR, g) / SNR or min(SNR, g) / (SNR + 1): after it both are min(SNR, g) |map(d)|^2.
So they are taken of the prediction as it is and added before min-SNR: in proportion to the main
loss at every timestep, by the same Huber threshold, for either kind of prediction. Scaling to the
error of x0 instead would weight pure noise (t = 999) 214 times, for a prediction of the noise.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dmm.errors import PresetError

SCALES = (2, 4, 8)
"""Sides of the averaged squares, in latent cells: 16, 32 and 64 pixels of the mel image."""
Measure = Callable[[Tensor], Tensor]
"""The size of residuals, one value per clip: (batch, channels, rows, frames) to (batch,)."""


def main_loss_weight_map(
    rows: int,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    args: argparse.Namespace,
    unmasked: Tensor | None = None,
) -> Tensor | None:
    """Weight map of the main loss; None if there is neither ``mel_tilt`` nor a mask.

    (batch or 1, 1, rows, 1) by ``mel_tilt``, all 1 where the gate is closed; times ``unmasked``,
    the weights of SpecAugment (batch, 1, rows, frames). Mean 1 per clip: the loss keeps its size.
    """
    if not args.mel_tilt:
        return unmasked
    tilted = mel_row_weights(rows, args.mel_tilt, timesteps.device).view(1, 1, rows, 1)
    if args.snr_gate is not None:
        gate = _snr_mask(timesteps, alphas_cumprod, args).view(-1, 1, 1, 1)
        tilted = 1 + gate * (tilted - 1)
    if unmasked is None:
        return tilted
    product = tilted * unmasked
    return product / product.mean((1, 2, 3), keepdim=True)


def make_measure(loss_type: str, threshold: Tensor | None = None) -> Measure:
    """Return the engine's loss as a function of the residual, averaged per clip.

    ``loss_type`` is l2, l1, huber or smooth_l1. The last two need a ``threshold`` d (batch,):
    2d(sqrt(r^2 + d^2) - d), and that over d.
    """
    if loss_type == "l2":
        return mean_square
    if loss_type == "l1":
        return lambda residual: residual.abs().mean((1, 2, 3))
    assert threshold is not None, f"{loss_type} needs a threshold"
    d, scale = threshold.view(-1, 1, 1, 1), 2 * threshold if loss_type == "huber" else 2
    # Factors that are constant within a clip follow the mean: fewer passes over the latents.
    return lambda residual: scale * (torch.hypot(residual, d).mean((1, 2, 3)) - threshold)


def mean_square(residual: Tensor) -> Tensor:
    """Mean square per clip, (batch,)."""
    return residual.square().mean((1, 2, 3))


def gradient_loss(residual: Tensor, measure: Measure = mean_square) -> Tensor:
    """Size of half the differences between neighbours in time and in mel, (batch,).

    The mean of both directions. Onsets and partials are such differences; a constant error costs
    nothing. Halved, a checkerboard (the sharpest error there is) costs as much as
    in the main loss, so with weight w the sharpest error counts 1 + w times, the smoothest once.
    """
    half = residual / 2
    time = half[..., 1:] - half[..., :-1]
    mel = half[..., 1:, :] - half[..., :-1, :]
    return (measure(time) + measure(mel)) / 2


def multires_loss(
    residual: Tensor, scales: tuple[int, ...] = SCALES, measure: Measure = mean_square
) -> Tensor:
    """Size of the residual averaged over squares of each scale, (batch,); mean over scales.

    Bars, chords and loudness are such averages; what cancels out within a square costs nothing.
    With weight w an error as large as the largest square counts 1 + w times, the finest once.
    Squares that stick out at the edge average what is inside. ValueError if a scale exceeds the
    latents.
    """
    if max(scales) > min(residual.shape[2:]):
        raise ValueError(
            f"scale {max(scales)} exceeds latents of {residual.shape[2]} x {residual.shape[3]}"
        )
    pooled = (F.avg_pool2d(residual, scale, ceil_mode=True) for scale in scales)
    return torch.stack([measure(part) for part in pooled]).mean(0)


class AddedLoss(NamedTuple):
    """A loss that is added to the main one, by the weight that its setting states."""

    function: Callable[..., Tensor]
    """Residual (batch, channels, rows, frames) and ``measure=`` to one value per clip (batch,)."""
    help: str
    """Of the setting; ``dmm train --explain`` shows it too."""


LOSSES: dict[str, AddedLoss] = {
    "gradient_weight": AddedLoss(
        gradient_loss, "weight of the error of differences along time and frequency; 0 is off"
    ),
    "multires_weight": AddedLoss(
        multires_loss, "weight of the error averaged over squares of 16, 32 and 64 pixels; 0 is off"
    ),
}
"""By setting. Options, validation and (by ``engine-options.json``) rules derive from this table."""


def has_added_losses(args: argparse.Namespace) -> bool:
    """Whether any added loss has a weight, so that the residual is needed."""
    return any(getattr(args, name) for name in LOSSES)


def weighted_added_losses(
    residual: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    args: argparse.Namespace,
    *,
    threshold: Tensor | None = None,
    weight_map: Tensor | None = None,
) -> Tensor | None:
    """Weighted sum of all added losses per clip, (batch,); None while no weight is set.

    ``threshold`` (batch,) is the Huber threshold of the main loss. ``weight_map`` is that
    of the main loss (see ``main_loss_weight_map``). Its root scales the residual, so squared
    residuals are weighted by the map and masked places are no error. PresetError for a negative
    weight.
    """
    if not has_added_losses(args):
        return None
    if weight_map is not None:
        residual = residual * weight_map.sqrt()
    size = make_measure(args.loss_type, threshold)
    total = residual.new_zeros(len(residual))
    for name, loss in LOSSES.items():
        weight = getattr(args, name)
        if not weight >= 0:
            raise PresetError(f"{name} is {weight}; a weight is 0 or more")
        if weight:
            total = total + weight * loss.function(residual, measure=size)
    return total if args.snr_gate is None else total * _snr_mask(timesteps, alphas_cumprod, args)


def mel_row_weights(rows: int, tilt: float, device: torch.device | None = None) -> Tensor:
    """Weight per mel row, (rows,), mean 1: exponential from the first row to the last.

    The last row, the lowest frequency, has e^tilt times the weight of the first: above 0 favours
    bass.
    """
    place = torch.linspace(-0.5, 0.5, rows, device=device)  # symmetric: large tilts stay finite
    return rows * torch.softmax(tilt * place, dim=0)


def snr_gate(timesteps: Tensor, alphas_cumprod: Tensor, min_snr: float) -> Tensor:
    """Mask (batch,): 1 for clips whose signal-to-noise ratio is ``min_snr`` or more, else 0.

    Of Stable Diffusion's 1000 timesteps, 147 pass a gate of 5, 354 of 1 and 687 of 0.1.
    """
    # The small table goes to the timesteps: moving these would wait for the GPU.
    signal = alphas_cumprod.to(timesteps.device, non_blocking=True)[timesteps]
    return (signal / (1 - signal) >= min_snr).float()


def _snr_mask(timesteps: Tensor, alphas_cumprod: Tensor, args: argparse.Namespace) -> Tensor:
    """Mask of ``snr_gate`` with the threshold ``args.snr_gate``, which must not be None."""
    return snr_gate(timesteps, alphas_cumprod, args.snr_gate)
