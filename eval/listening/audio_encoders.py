"""The listener's ears: small networks that read timbre, rhythm and harmony out of pictures."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .hearing import LOWEST_PITCH, PER_SEMITONE, SEMITONES

RHYTHM_BANDS, MAX_LAG = 8, 100
"""Lags of up to 100 frames of 20 ms: a beat at 30 bpm."""
OCTAVES = SEMITONES // 12


class Timbre(NamedTuple):
    """What the timbre ear finds in each moment, and in all of them together."""

    moments: Float[Tensor, "n 16 256"]
    whole: Float[Tensor, "n 512"]
    """Mean and maximum over the moments."""


class TimbreEar(nn.Module):
    """A convolutional network over the picture; frequencies stay apart, time becomes 16 moments."""

    width = 256

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            (
                nn.Conv2d(2 * 8 + 1, 64, 3, 1, 1),
                nn.Conv2d(64, 64, 3, 2, 1),
                nn.Conv2d(64, 96, 3, (2, 1), 1),
                nn.Conv2d(96, 128, 3, (2, 1), 1),
            )
        )
        norms = ((16, 64), (8, 64), (8, 96), (8, 128))
        self.norms = nn.ModuleList(nn.GroupNorm(groups, width) for groups, width in norms)
        self.out = nn.Linear(128 * 8, self.width)

    def forward(self, timbre: Float[Tensor, "n 128 256"]) -> Timbre:
        """Timbre of a window; one place is 2 rows x 8 frames, and its height is told."""
        x = timbre.unflatten(2, (-1, 8)).unflatten(1, (-1, 2)).permute(0, 2, 4, 1, 3).flatten(1, 2)
        height = torch.linspace(-1, 1, x.shape[2], device=x.device)[:, None].expand_as(x[:, :1])
        x = torch.cat([x - 0.4, height], 1)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.relu(norm(layer(x)))
        x = F.relu(self.out(x.flatten(1, 2).transpose(1, 2)))
        return Timbre(x, torch.cat([x.mean(1), x.amax(1)], 1))


class RhythmEar(nn.Module):
    """Which pulse the onsets have, from their autocorrelation."""

    width = 128

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(RHYTHM_BANDS * MAX_LAG, self.width)

    def forward(self, timbre: Float[Tensor, "n 128 256"]) -> Float[Tensor, "n 128"]:
        """Rhythm of a window."""
        return F.relu(self.out(pulse(timbre).flatten(1)))


def pulse(timbre: Float[Tensor, "n 128 256"]) -> Float[Tensor, "n 8 100"]:
    """Autocorrelation of each wide band's rises in level at lags of 1..100 frames; 1 at lag 0."""
    bands = timbre.float().unflatten(1, (RHYTHM_BANDS, -1)).mean(2)
    onsets = F.relu(bands.diff(dim=2))
    onsets = onsets - onsets.mean(2, keepdim=True)
    power = torch.fft.rfft(onsets, 512).abs().square()
    correlation = torch.fft.irfft(power)[..., : MAX_LAG + 1]
    return correlation[..., 1:] / (correlation[..., :1] + 1e-4)


class HarmonyEar(nn.Module):
    """Notes out of partials, pitch classes out of notes, keys out of pitch classes.

    A key is a pattern on the circle of twelve pitch classes and the place where it is rooted.
    Convolutions around the circle treat all tonics alike: what is learnt in C is known in F#.
    """

    def __init__(self) -> None:
        super().__init__()
        self.partials = nn.Conv2d(1, 16, (9, 5), (PER_SEMITONE, 4), (3, 2))
        self.notes = nn.Conv2d(16, 16, (37, 1), padding=(18, 0))
        self.classes = nn.Conv2d(16 * OCTAVES, 48, 1)
        self.chords = nn.Conv2d(48, 64, (12, 3), padding=(0, 1))
        self.scale = nn.Conv1d(128, 96, 12)
        self.key = nn.Conv1d(96, 2, 12)

    def forward(self, pitch: Float[Tensor, "n 216 48"]) -> Float[Tensor, "n 24"]:
        """Logits of twelve major and twelve minor keys, from C."""
        x = (pitch - pitch.mean(1, keepdim=True))[:, None]
        x = F.relu(self.partials(x * 4))
        x = F.relu(self.notes(x))
        x = x.unflatten(2, (OCTAVES, 12)).flatten(1, 2)
        x = F.relu(self.classes(x))
        x = F.relu(self.chords(_around(x)))
        x = torch.cat([x.mean(3), x.amax(3)], 1)
        x = F.relu(self.scale(_around(x)))
        return self.key(_around(x)).roll(LOWEST_PITCH % 12, 2).flatten(1)


def _around(x: Tensor) -> Tensor:
    """The circle of pitch classes (axis 2) and eleven more, for a convolution of width twelve."""
    return torch.cat([x, x[:, :, :11]], 2)
