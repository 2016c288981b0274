"""Many mel images to waveforms at once, on a GPU: ``dmm.decode`` in torch alone.

The heap of ``dmm.pghi`` visits one cell at a time, which a GPU cannot do. The start here is
single-pass spectrogram inversion (Beauregard, Harish and Wyse 2015,
https://doi.org/10.1109/ICDSP.2015.7251907): each frame's peaks go on where the last frame's phase
stood and carry their neighbours along, so only one gather a frame is serial. Started so, ADMM
needs more steps: measured on music, spectral convergence after 32 steps is 0.053 from
``dmm.pghi``, 0.083 from here and 0.107 from random phase; after 64 it is 0.070 from here.
"""

import math

import numpy as np
import torch
from jaxtyping import Complex, Float, Int, UInt8
from torch import Tensor

from .decode import ITERATIONS, Quality, check_image, soft_limit
from .mel import MelFormat, from_level, mel_filterbank, window
from .mel_inverse import FLOOR
from .phase import overlap_weight, rho_schedule

MORE_STEPS = 2
"""ADMM steps for each one of ``dmm.decode``."""


def decode_batch(
    images: UInt8[np.ndarray, "batch rows frames"] | UInt8[np.ndarray, "batch rows frames 3"],
    fmt: MelFormat,
    quality: Quality = "default",
    device: str | torch.device = "cuda",
) -> Float[np.ndarray, "batch channels samples"]:
    """Sound of a batch of equally wide mel images, as ``dmm.decode.decode`` gives it.

    A 512 x 512 image needs about 40 MB on the device. Results of the same device repeat.
    """
    for image in images:
        check_image(image, fmt, quality)
    levels = images[:, ::-1]
    if images.ndim == 3:
        channels = [_decode_channel(levels, fmt, quality, device)]
    elif fmt.stereo == "left-right":
        channels = [_decode_channel(levels[..., i], fmt, quality, device) for i in (1, 2)]
    else:
        channels = _decode_mid_side(levels, fmt, quality, device)
    return soft_limit(torch.stack(channels, 1).cpu().numpy())


def _decode_channel(
    levels: UInt8[np.ndarray, "batch mels frames"],
    fmt: MelFormat,
    quality: Quality,
    device: str | torch.device,
) -> Float[Tensor, "batch samples"]:
    magnitude = _linear_magnitude(levels, fmt, device)
    return _retrieve_phase(magnitude, _first_phase(magnitude, fmt), fmt, quality)


def _decode_mid_side(
    levels: UInt8[np.ndarray, "batch mels frames 3"],
    fmt: MelFormat,
    quality: Quality,
    device: str | torch.device,
) -> list[Float[Tensor, "batch samples"]]:
    """Left and right; the louder of mid and side leads, as in ``dmm.decode``."""
    mid, side = (_linear_magnitude(levels[..., i], fmt, device) for i in (0, 1))
    side_leads = (side.square().sum((1, 2)) > mid.square().sum((1, 2)))[:, None]
    swap = side_leads[..., None]
    lead, follow = torch.where(swap, side, mid), torch.where(swap, mid, side)
    leader = _retrieve_phase(lead, _first_phase(lead, fmt), fmt, quality)
    left = (fmt.n_fft - fmt.hop_length) // 2
    padded = torch.nn.functional.pad(leader, (left, fmt.n_fft - fmt.hop_length - left))
    start = torch.sgn(_stft(padded, fmt)) * _side_sign(levels[..., 2], fmt, device)
    follower = _retrieve_phase(follow, start, fmt, quality)
    mid, side = torch.where(side_leads, follower, leader), torch.where(side_leads, leader, follower)
    return [mid + side, mid - side]


def _side_sign(
    balance: UInt8[np.ndarray, "batch mels frames"], fmt: MelFormat, device: str | torch.device
) -> Float[Tensor, "batch frames bins"]:
    stated = torch.from_numpy(balance.any(axis=(1, 2))).to(device)[:, None, None]
    lean = torch.from_numpy(balance.astype(np.float32) - 128).to(device).mT @ _filterbank(
        fmt, device
    )
    return 1 - 2 * (stated & (lean < 0)).float()


def _filterbank(fmt: MelFormat, device: str | torch.device) -> Float[Tensor, "mels bins"]:
    return torch.from_numpy(mel_filterbank(fmt).toarray()).to(device)


def _linear_magnitude(
    levels: UInt8[np.ndarray, "batch mels frames"],
    fmt: MelFormat,
    device: str | torch.device,
    n_steps: int = 10,
) -> Float[Tensor, "batch frames bins"]:
    """Richardson-Lucy steps as in ``dmm.mel_inverse``, with a dense filterbank."""
    mel = np.stack([from_level(image, fmt) for image in levels])
    target = torch.from_numpy(mel).to(device).mT
    forward = _filterbank(fmt, device)
    backward = forward / forward.sum(0).clamp(min=FLOOR)
    linear = target @ backward
    for _ in range(n_steps):
        linear *= (target / (linear @ forward.T).clamp(min=FLOOR)) @ backward
    return linear


def _first_phase(
    magnitude: Float[Tensor, "batch frames bins"], fmt: MelFormat
) -> Complex[Tensor, "batch frames bins"]:
    """Unit phasors; each bin turns as fast as the peak nearest to it."""
    peak, turn = _peaks(magnitude, fmt)
    phase = torch.zeros_like(magnitude)
    running = phase[:, 0]
    for t in range(magnitude.shape[1]):
        running = (running + turn[:, t]).gather(1, peak[:, t]) % (2 * math.pi)
        phase[:, t] = running
    phase[..., 1::2] += math.pi  # the window's middle is sample n_fft / 2 of the frame
    return torch.polar(torch.ones_like(phase), phase)


def _peaks(
    magnitude: Float[Tensor, "batch frames bins"], fmt: MelFormat
) -> tuple[Int[Tensor, "batch frames bins"], Float[Tensor, "batch frames bins"]]:
    """The peak nearest to each bin, and how far a bin's phase would turn in a hop as a peak.

    A peak's frequency is the top of the parabola through three log magnitudes.
    """
    log = magnitude.clamp(min=FLOOR).log()
    below, here, above = log[..., :-2], log[..., 1:-1], log[..., 2:]
    is_peak = torch.nn.functional.pad((here > below) & (here >= above), (1, 1))
    bend = (below - 2 * here + above).clamp(max=-FLOOR)
    top = torch.nn.functional.pad((0.5 * (below - above) / bend).clamp(-0.5, 0.5), (1, 1))
    bins = torch.arange(magnitude.shape[-1], device=magnitude.device)
    last = torch.where(is_peak, bins, -len(bins)).cummax(-1).values
    following = torch.where(is_peak, bins, 3 * len(bins)).flip(-1).cummin(-1).values.flip(-1)
    nearest = torch.where(bins - last < following - bins, last, following)
    nearest = torch.where((nearest >= 0) & (nearest < len(bins)), nearest, bins)
    return nearest, (bins + top) * (2 * math.pi * fmt.hop_length / fmt.n_fft)


def _retrieve_phase(
    magnitude: Float[Tensor, "batch frames bins"],
    start: Complex[Tensor, "batch frames bins"],
    fmt: MelFormat,
    quality: Quality,
) -> Float[Tensor, "batch samples"]:
    """The steps of ``dmm.phase``."""
    state = magnitude * start
    for rho in rho_schedule(MORE_STEPS * ITERATIONS[quality]):
        consistent = _stft(_overlap_add(state, fmt), fmt)
        direction = torch.sgn(2 * consistent - (1 - rho) * state)
        state = magnitude * direction + (state - consistent) / (1 + rho)
    left = (fmt.n_fft - fmt.hop_length) // 2
    return _overlap_add(state, fmt)[:, left : left + magnitude.shape[1] * fmt.hop_length]


def _stft(
    padded: Float[Tensor, "batch padded"], fmt: MelFormat
) -> Complex[Tensor, "batch frames bins"]:
    shape = torch.from_numpy(window(fmt)).to(padded.device)
    return torch.fft.rfft(padded.unfold(-1, fmt.n_fft, fmt.hop_length) * shape)


def _overlap_add(
    spectrum: Complex[Tensor, "batch frames bins"], fmt: MelFormat
) -> Float[Tensor, "batch padded"]:
    """Frames cut into pieces of one hop, so that piece k of all frames is added in one go."""
    n_frames, hop = spectrum.shape[1], fmt.hop_length
    shape = torch.from_numpy(window(fmt)).to(spectrum.device)
    frames = torch.fft.irfft(spectrum, n=fmt.n_fft) * shape
    frames = torch.nn.functional.pad(frames, (0, -fmt.n_fft % hop)).unflatten(-1, (-1, hop))
    n_pieces = frames.shape[2]
    rows = frames.new_zeros(len(spectrum), n_frames + n_pieces - 1, hop)
    for k in range(n_pieces):
        rows[:, k : k + n_frames] += frames[:, :, k]
    weight = torch.from_numpy(overlap_weight(fmt, n_frames)).to(spectrum.device)
    return rows.flatten(1)[:, : len(weight)] * weight
