"""Augment nano-CLAP's training spectrograms with flaws that generated clips may have.

Levels lie in 0..1 over 80 dB. Each clip of a batch has random parameters of its own.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from eval.listening.spectrograms import PER_SEMITONE

DB = 1 / 80


def augment(
    timbre: Float[Tensor, "n 128 256"], pitch: Float[Tensor, "n 216 48"], rng: torch.Generator
) -> tuple[Float[Tensor, "n 128 256"], Float[Tensor, "n 216 48"]]:
    """Tilt, blur, add noise to both spectrograms, and mask stripes of the mel spectrogram."""
    return _masked(_degraded(timbre, rng), rng), _degraded(pitch, rng)


def rotated_in_time(
    x: Float[Tensor, "n rows t"], turns: Int[Tensor, " n"]
) -> Float[Tensor, "n rows t"]:
    """Rotate spectrograms in time, by ``turns`` sixteenths of the window."""
    return _rolled_per_clip(x, turns * (x.shape[2] // 16))


def transposed_up(
    pitch: Float[Tensor, "n 216 48"], semitones: Int[Tensor, " n"]
) -> Float[Tensor, "n 216 48"]:
    """Rotate the pitch spectrogram up by semitones."""
    return _rolled_per_clip(pitch.transpose(1, 2), semitones * PER_SEMITONE).transpose(1, 2)


def _degraded(x: Float[Tensor, "n rows t"], rng: torch.Generator) -> Float[Tensor, "n rows t"]:
    """Tilt the spectrum, blur, add noise and a noise floor; scale the loudest level to 1 again."""
    n = len(x)
    height = torch.linspace(-1, 1, x.shape[1])[:, None]
    slope, bend = (torch.randn(n, 1, 1, generator=rng) for _ in range(2))
    x = x + DB * (4 * slope * height + 3 * bend * torch.cos(torch.pi * height)) * (x > 0)
    blurred = F.avg_pool2d(x[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    share = torch.rand(n, 1, 1, generator=rng) * _bernoulli(n, 0.4, rng)[:, None, None]
    x = torch.lerp(x, blurred, share)
    grain = 4 * DB * torch.rand(n, 1, 1, generator=rng) * _bernoulli(n, 0.4, rng)[:, None, None]
    noise = torch.randn(x.shape, generator=rng)
    x = x + grain * noise
    floor = 1 - DB * (35 + 45 * torch.rand(n, 1, 1, generator=rng))
    floor = floor * _bernoulli(n, 0.5, rng)[:, None, None]
    x = torch.maximum(x, floor + 2 * DB * noise.flip(2) * (floor > 0))
    return (x - x.amax((1, 2), keepdim=True) + 1).clamp(0, 1)


def _masked(x: Float[Tensor, "n rows t"], rng: torch.Generator) -> Float[Tensor, "n rows t"]:
    """SpecAugment (https://arxiv.org/abs/1904.08779): mask at most one band and one span."""
    for dim, widest in ((1, 12), (2, 24)):
        n, size = len(x), x.shape[dim]
        width = (
            torch.randint(widest, (n, 1), generator=rng) * _bernoulli(n, 0.3, rng).long()[:, None]
        )
        start = torch.randint(size - widest, (n, 1), generator=rng)
        at = torch.arange(size)
        kept = ((at < start) | (at >= start + width)).float()
        x = x * (kept[:, :, None] if dim == 1 else kept[:, None, :])
    return x


def _rolled_per_clip(
    x: Float[Tensor, "n rows t"], by: Int[Tensor, " n"]
) -> Float[Tensor, "n rows t"]:
    at = (torch.arange(x.shape[2]) - by[:, None]) % x.shape[2]
    return x.gather(2, at[:, None, :].expand_as(x))


def _bernoulli(n: int, chance: float, rng: torch.Generator) -> Float[Tensor, " n"]:
    return (torch.rand(n, generator=rng) < chance).float()
