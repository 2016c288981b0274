"""Three small networks of nano-CLAP: timbre, rhythm and key of 5.12 s from spectrograms."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from .spectrograms import LOWEST_PITCH, PER_SEMITONE, SEMITONES

RHYTHM_BANDS, MAX_LAG = 8, 100
"""Number of bands, and longest lag: 100 frames of 20 ms are one beat at 30 bpm."""
OCTAVES = SEMITONES // 12


class TimbreFeatures(NamedTuple):
    """Features of each sixteenth of a window, and pooled over the window."""

    moments: Float[Tensor, "n 16 256"]
    pooled: Float[Tensor, "n 512"]
    """Mean and maximum over the sixteenths."""


class TimbreEncoder(nn.Module):
    """Convolutions over a mel spectrogram: 256 features for each sixteenth of the window."""

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

    def forward(self, timbre: Float[Tensor, "n 128 256"]) -> TimbreFeatures:
        """Features of patches of 2 rows x 8 frames; one channel holds each patch's place in mel."""
        x = timbre.unflatten(2, (-1, 8)).unflatten(1, (-1, 2)).permute(0, 2, 4, 1, 3).flatten(1, 2)
        height = torch.linspace(-1, 1, x.shape[2], device=x.device)[:, None].expand_as(x[:, :1])
        x = torch.cat([x - 0.4, height], 1)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.relu(norm(layer(x)))
        x = F.relu(self.out(x.flatten(1, 2).transpose(1, 2)))
        return TimbreFeatures(x, torch.cat([x.mean(1), x.amax(1)], 1))


class RhythmEncoder(nn.Module):
    """Tempo features: a linear layer on the autocorrelation of onsets."""

    width = 128

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(RHYTHM_BANDS * MAX_LAG, self.width)

    def forward(self, timbre: Float[Tensor, "n 128 256"]) -> Float[Tensor, "n 128"]:
        """128 features of each window."""
        return F.relu(self.out(onset_autocorrelation(timbre).flatten(1)))


def onset_autocorrelation(timbre: Float[Tensor, "n 128 256"]) -> Float[Tensor, "n 8 100"]:
    """Autocorrelation of level rises in 8 bands at lags of 1..100 frames, relative to lag 0."""
    bands = timbre.float().unflatten(1, (RHYTHM_BANDS, -1)).mean(2)
    onsets = F.relu(bands.diff(dim=2))
    onsets = onsets - onsets.mean(2, keepdim=True)
    power = torch.fft.rfft(onsets, 512).abs().square()
    correlation = torch.fft.irfft(power)[..., : MAX_LAG + 1]
    return correlation[..., 1:] / (correlation[..., :1] + 1e-4)


class KeyClassifier(nn.Module):
    """Key of a window: convolutions from partials to notes, pitch classes and keys.

    Convolutions around the circle of twelve pitch classes share weights over all tonics: a pattern
    learnt in C is recognised in F# too.
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
        """Logits of twelve major, then twelve minor keys, each from C."""
        x = (pitch - pitch.mean(1, keepdim=True))[:, None]
        x = F.relu(self.partials(x * 4))
        x = F.relu(self.notes(x))
        x = x.unflatten(2, (OCTAVES, 12)).flatten(1, 2)
        x = F.relu(self.classes(x))
        x = F.relu(self.chords(_pad_circular(x)))
        x = torch.cat([x.mean(3), x.amax(3)], 1)
        x = F.relu(self.scale(_pad_circular(x)))
        return self.key(_pad_circular(x)).roll(LOWEST_PITCH % 12, 2).flatten(1)


def _pad_circular(x: Tensor) -> Tensor:
    """Pad axis 2 circularly by eleven pitch classes, for a convolution of width twelve."""
    return torch.cat([x, x[:, :, :11]], 2)
