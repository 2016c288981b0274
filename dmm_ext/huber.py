"""Huber threshold that varies over diffusion timesteps and over training (``docs/huber.md``).

The engine's loss of a residual r at threshold d is 2d(sqrt(r^2 + d^2) - d): r^2 where |r| << d,
2d|r| where |r| >> d. Its own schedules vary d over the timestep only. Scheduled pseudo-Huber
losses: Khrapov et al. 2024, https://arxiv.org/abs/2403.16728.
"""

import argparse
import math

import torch
from torch import Tensor

from dmm.errors import PresetError

from .options import CURVES


def huber_threshold(
    args: argparse.Namespace, timesteps: Tensor, alphas_cumprod: Tensor, progress: float
) -> Tensor | None:
    """Threshold per clip, (batch,) float32 on the device of ``timesteps``.

    None where the engine's own function decides: ``huber_start`` is unset, or the loss has no
    threshold. ``progress`` is the share of the training that is done, 0..1. With ``huber_over =
    "training"`` the result is ``value_over_training`` times ``timestep_factor``. With "timestep" it
    goes from ``huber_start`` at t = 0 to ``huber_end`` at t = T; ``progress`` and ``huber_c`` then
    do nothing. ``huber_scale`` is never read. PresetError for a value out of range.
    """
    if args.huber_start is None or args.loss_type not in ("huber", "smooth_l1"):
        return None
    start, end, schedule = args.huber_start, args.huber_end, args.huber_schedule
    if not min(start, end) > 0:
        raise PresetError(f"huber_start is {start}, huber_end {end}; both must be above 0")
    if args.huber_over == "timestep":
        if schedule == "constant":
            raise PresetError(
                'huber_over = "timestep" needs huber_schedule = "exponential" or "snr"; '
                '"constant" is the same at every timestep'
            )
        # start * (1 - c) / (1 + sigma)^2 + start * c is (start - end) / (1 + sigma)^2 + end
        return start * timestep_factor(timesteps, schedule, end / start, alphas_cumprod)
    level = value_over_training(start, end, progress, args.huber_curve)
    return level * timestep_factor(timesteps, schedule, args.huber_c, alphas_cumprod)


def value_over_training(start: float, end: float, progress: float, curve: str) -> float:
    """Value after a share ``progress`` (clamped to 0..1) of the training; both ends are above 0.

    "step" is ``start`` in the first half and ``end`` from the middle on. PresetError for an unknown
    ``curve``.

    >>> [round(value_over_training(0.15, 0.05, p, "linear"), 3) for p in (0, 0.5, 1)]
    [0.15, 0.1, 0.05]
    >>> round(value_over_training(0.15, 0.05, 0.5, "exponential"), 4)  # the geometric mean
    0.0866
    """
    progress = min(max(progress, 0.0), 1.0)
    if curve == "linear":
        return start + (end - start) * progress
    if curve == "cosine":
        return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
    if curve == "exponential":
        return start * (end / start) ** progress
    if curve == "step":
        return start if progress < 0.5 else end
    raise PresetError(f"huber_curve is one of {', '.join(CURVES)}; got {curve!r}")


def timestep_factor(timesteps: Tensor, schedule: str, c: float, alphas_cumprod: Tensor) -> Tensor:
    """Factor per clip by its timestep, (batch,) float32: the engine's formulas at scale 1.

    "exponential" is c^(t/T), from 1 at t = 0. "snr" is (1 - c) / (1 + sigma)^2 + c with sigma =
    sqrt((1 - a) / a) of ``alphas_cumprod`` a; at Stable Diffusion's t = 0 sigma is .029 and the
    factor .94 (1 - c) + c. "constant" is 1, where the engine has c. PresetError for another
    ``schedule``.
    """
    if schedule == "constant":
        return torch.ones(timesteps.shape, device=timesteps.device)
    if schedule == "exponential":
        return c ** (timesteps / len(alphas_cumprod))
    if schedule == "snr":
        # The small table goes to the timesteps: moving these would wait for the GPU.
        signal = alphas_cumprod.to(timesteps.device, non_blocking=True)[timesteps]
        sigmas = ((1 - signal) / signal).sqrt()
        return (1 - c) / (1 + sigmas) ** 2 + c
    raise PresetError(f"huber_schedule is constant, exponential or snr; got {schedule!r}")
