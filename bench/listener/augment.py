"""What may happen to a clip's pictures on the way from a generator: the listener shall not mind.

Pictures are levels in 0..1 over 80 dB; every clip of a batch draws for itself.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from eval.listening.hearing import PER_SEMITONE

DB = 1 / 80


def augment(
    timbre: Float[Tensor, "n 128 256"], pitch: Float[Tensor, "n 216 48"], rng: torch.Generator
) -> tuple[Float[Tensor, "n 128 256"], Float[Tensor, "n 216 48"]]:
    """Each picture coloured, blurred and dirtied."""
    return _striped(_dirtied(timbre, rng), rng), _dirtied(pitch, rng)


def turned(x: Float[Tensor, "n rows t"], turns: Int[Tensor, " n"]) -> Float[Tensor, "n rows t"]:
    """Pictures moved on by sixteenths of the window; what leaves it enters at its beginning."""
    return _rolled(x, turns * (x.shape[2] // 16))


def transposed(
    pitch: Float[Tensor, "n 216 48"], semitones: Int[Tensor, " n"]
) -> Float[Tensor, "n 216 48"]:
    """The pitch picture moved up by semitones; what leaves at one end enters at the other."""
    return _rolled(pitch.transpose(1, 2), semitones * PER_SEMITONE).transpose(1, 2)


def _dirtied(x: Float[Tensor, "n rows t"], rng: torch.Generator) -> Float[Tensor, "n rows t"]:
    """Tilted spectrum, blur, grain and a noise floor; then the loudest is at 1 again."""
    n = len(x)
    height = torch.linspace(-1, 1, x.shape[1])[:, None]
    slope, bend = (torch.randn(n, 1, 1, generator=rng) for _ in range(2))
    x = x + DB * (4 * slope * height + 3 * bend * torch.cos(torch.pi * height)) * (x > 0)
    blurred = F.avg_pool2d(x[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    share = torch.rand(n, 1, 1, generator=rng) * _happens(n, 0.4, rng)[:, None, None]
    x = torch.lerp(x, blurred, share)
    grain = 4 * DB * torch.rand(n, 1, 1, generator=rng) * _happens(n, 0.4, rng)[:, None, None]
    noise = torch.randn(x.shape, generator=rng)
    x = x + grain * noise
    floor = 1 - DB * (35 + 45 * torch.rand(n, 1, 1, generator=rng))
    floor = floor * _happens(n, 0.5, rng)[:, None, None]
    x = torch.maximum(x, floor + 2 * DB * noise.flip(2) * (floor > 0))
    return (x - x.amax((1, 2), keepdim=True) + 1).clamp(0, 1)


def _striped(x: Float[Tensor, "n rows t"], rng: torch.Generator) -> Float[Tensor, "n rows t"]:
    """SpecAugment (https://arxiv.org/abs/1904.08779): one band, one moment may be missing."""
    for dim, widest in ((1, 12), (2, 24)):
        n, size = len(x), x.shape[dim]
        width = torch.randint(widest, (n, 1), generator=rng) * _happens(n, 0.3, rng).long()[:, None]
        start = torch.randint(size - widest, (n, 1), generator=rng)
        at = torch.arange(size)
        kept = ((at < start) | (at >= start + width)).float()
        x = x * (kept[:, :, None] if dim == 1 else kept[:, None, :])
    return x


def _rolled(x: Float[Tensor, "n rows t"], by: Int[Tensor, " n"]) -> Float[Tensor, "n rows t"]:
    at = (torch.arange(x.shape[2]) - by[:, None]) % x.shape[2]
    return x.gather(2, at[:, None, :].expand_as(x))


def _happens(n: int, chance: float, rng: torch.Generator) -> Float[Tensor, " n"]:
    return (torch.rand(n, generator=rng) < chance).float()
