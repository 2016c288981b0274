"""Train the vocal classifier ``nano``: ``dmm bench train-vocals``.

All sound is procedural: MiniMIDI with and without its synthetic singer. Rendered windows are kept
beside the model, so a run that was interrupted goes on where it stopped.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional as F

from dmm.fitting.loop import Schedule, fit

from .data import VocalWindows, vocal_windows
from .net import VocalNet, WaveToProbability, export

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 13_000_000, 14_000_000, 15_000_000
BATCH = 64
LEARNING_RATE = 2e-3
VALIDATION_PIECES = 200
DB = 1 / 80


def train_vocals(
    out: Annotated[Path, typer.Option(help="Model to write, .onnx.")],
    pieces: Annotated[int, typer.Option(help="Pieces to learn from, four windows each.")] = 2000,
    steps: Annotated[int, typer.Option(help="Training steps of 64 windows.")] = 600,
    seed: Annotated[int, typer.Option(help="Decides weights and batches.")] = 0,
) -> None:
    """Train the vocal classifier on MiniMIDI and its synthetic singer, on one CPU core.

    Example: dmm bench train-vocals --out nano-vocals.onnx
    """
    print(train(out, pieces, steps, seed))


def train(out: Path, pieces: int, steps: int, seed: int) -> Path:
    """Render, train, calibrate on validation pieces, export; returns ``out``."""
    state = out.with_suffix(".state")
    heard = vocal_windows(state / "train", TRAIN_SEED, pieces)
    known = vocal_windows(state / "validation", VALIDATION_SEED, min(VALIDATION_PIECES, pieces))
    torch.manual_seed(seed)
    net = VocalNet().to(memory_format=torch.channels_last)  # pyright: ignore
    schedule = Schedule(steps, BATCH, LEARNING_RATE, warmup=30, ema_decay=0.98)
    trained = fit("train vocals", net, Lesson(net, heard), schedule, state / "net.pt", seed)
    assert isinstance(trained, VocalNet)
    settle(trained, heard, min(40, steps))
    scale, shift = calibration(logits(trained, known), known.vocal)
    export(WaveToProbability(trained, scale, shift), out)
    return out


class Lesson:
    """The loss of one step: what the network hears in some windows against what is true."""

    def __init__(self, net: VocalNet, heard: VocalWindows):
        self.net = net
        self.levels, self.vocal = torch.from_numpy(heard.levels), torch.from_numpy(heard.vocal)

    def __call__(self, rng: torch.Generator) -> Tensor:
        """Binary cross-entropy; labels are softened by 2 %."""
        chosen = torch.randint(len(self.vocal), (BATCH,), generator=rng)
        levels = augment(self.levels[chosen].float() / 255, rng)
        truth = self.vocal[chosen].float() * 0.96 + 0.02
        return F.binary_cross_entropy_with_logits(self.net(levels), truth)


def augment(
    levels: Float[Tensor, "n 64 frames"], rng: torch.Generator
) -> Float[Tensor, "n 64 frames"]:
    """Equalised, low-passed as MP3s are, noisy, shifted by a band or two; parts are missing."""
    n, bands, frames = levels.shape

    def draw(*shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=rng)

    height = torch.linspace(0, 1, bands)[:, None]
    slope, bend, phase = 2 * draw(1, 1) - 1, draw(1, 1), 2 * torch.pi * draw(1, 1)
    curve = 12 * slope * (height - 0.5) + 7 * bend * torch.cos(2 * torch.pi * height + phase)
    levels = levels + DB * curve * (levels > 0)
    levels = levels - DB * 50 * (height > 0.55 + 1.5 * draw(1, 1))
    floor = 1 - DB * (25 + 80 * draw(1, 1))
    levels = torch.maximum(levels, floor + DB * 2 * torch.randn(levels.shape, generator=rng))
    by = int(torch.randint(-2, 3, (), generator=rng))
    levels = torch.roll(levels, by, 1)
    at, width = (bands * draw(1, 1)).long(), (8 * draw(1, 1) * (draw(1, 1) < 0.3)).long()
    band = torch.arange(bands)[:, None]
    levels = levels * ~((band >= at) & (band < at + width))
    at, width = (frames * draw(1, 1)).long(), (15 * draw(1, 1) * (draw(1, 1) < 0.3)).long()
    time = torch.arange(frames)[None]
    levels = levels * ~((time >= at) & (time < at + width))
    return (levels - levels.amax((1, 2), keepdim=True) + 1).clamp(0, 1)


@torch.no_grad()
def settle(net: VocalNet, heard: VocalWindows, batches: int) -> None:
    """Find batch normalisation's means anew: the averaged weights never saw a batch."""
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all batches
    net.train()
    rng = torch.Generator().manual_seed(0)
    for _ in range(batches):
        chosen = torch.randint(len(heard), (BATCH,), generator=rng).numpy()
        net(augment(torch.from_numpy(heard.levels[chosen]).float() / 255, rng))
    net.eval()


@torch.no_grad()
def logits(net: VocalNet, heard: VocalWindows) -> Float[np.ndarray, " n"]:
    """What the network says of each window."""
    parts = torch.from_numpy(heard.levels).split(128)
    return torch.cat([net(part.float() / 255) for part in parts]).double().numpy()


def calibration(
    said: Float[np.ndarray, " n"], vocal: Bool[np.ndarray, " n"]
) -> tuple[float, float]:
    """Scale and shift of the logits that make them probabilities (Platt 1999), least log loss."""

    def loss(x: np.ndarray) -> float:
        z = np.exp(x[0]) * said + x[1]
        return float(np.logaddexp(0, np.where(vocal, -z, z)).mean() + 1e-3 * np.square(x).sum())

    found = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return float(np.exp(found[0])), float(found[1])
