"""Noise schedules in NumPy: how much noise there is at a timestep, and which timesteps are taken.

The formulas and their rounding are diffusers' 0.36, which the tests compare with.
"""

import numpy as np
from jaxtyping import Float

from .schema import Schedule

SMALLEST_ALPHA = 2.0**-24
"""Last cumulative product of Euler and DPM-Solver, instead of 0, with zero terminal SNR."""


def alphas_cumprod(schedule: Schedule) -> Float[np.ndarray, " timesteps"]:
    """Share of the clip's own variance that is left at each training timestep."""
    first, last, count = schedule.beta_start, schedule.beta_end, schedule.train_timesteps
    if schedule.beta_schedule == "scaled_linear":
        betas = np.linspace(first**0.5, last**0.5, count, dtype=np.float32) ** 2
    else:
        betas = np.linspace(first, last, count, dtype=np.float32)
    found = np.cumprod(np.float32(1) - betas, dtype=np.float32)
    return _rescale_to_zero_snr(found) if schedule.rescale_betas_zero_snr else found


def sigmas(schedule: Schedule) -> Float[np.ndarray, " timesteps"]:
    """Standard deviation of the noise per unit of signal at each training timestep."""
    kept = alphas_cumprod(schedule)
    if schedule.rescale_betas_zero_snr:
        kept[-1] = SMALLEST_ALPHA
    return np.sqrt((np.float32(1) - kept) / kept)


def spaced_timesteps(
    schedule: Schedule, steps: int, spacing: str | None = None, extra: int = 0
) -> Float[np.ndarray, " steps"]:
    """Timesteps of a sampling run, most noise first, as the schedule or ``spacing`` says.

    ``extra`` more are laid out and the cleanest left out, as the multistep solver does.
    """
    count, spacing = schedule.train_timesteps, spacing or schedule.timestep_spacing
    if spacing == "linspace":
        return np.linspace(0, count - 1, steps + extra)[::-1][:steps]
    if spacing == "trailing":
        return np.arange(count, 0, -count / steps).round()[:steps] - 1
    ratio = count // (steps + extra)
    return (np.arange(steps + extra) * ratio)[::-1][:steps] + float(schedule.steps_offset)


def karras_sigmas(
    lowest: float, highest: float, steps: int, rho: float = 7.0
) -> Float[np.ndarray, " steps"]:
    """Noise levels of Karras et al. 2022, eq. 5 (https://arxiv.org/abs/2206.00364), falling."""
    ramp = np.linspace(0, 1, steps)
    low, high = lowest ** (1 / rho), highest ** (1 / rho)
    return (high + ramp * (low - high)) ** rho


def timesteps_of_sigmas(
    wanted: Float[np.ndarray, " steps"], of_training: Float[np.ndarray, " timesteps"]
) -> Float[np.ndarray, " steps"]:
    """Fractional timesteps with the ``wanted`` noise levels, interpolated in their logarithm."""
    logs = np.log(of_training)
    return np.interp(np.log(np.maximum(wanted, 1e-10)), logs, np.arange(len(logs)))


def _rescale_to_zero_snr(kept: Float[np.ndarray, " timesteps"]) -> Float[np.ndarray, " timesteps"]:
    """Rescale to no signal at the last timestep (Lin et al. 2023, arXiv:2305.08891)."""
    root = np.sqrt(kept)
    scaled = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    return scaled**2
