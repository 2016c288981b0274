"""``dmm bench train-vocals``: train the vocal classifier ``nano``.

All audio is procedural: MiniMIDI with and without its synthetic singer. Rendered windows and the
training state are kept beside the model, so that an interrupted run resumes.
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

from .data import VocalWindows, load_or_render_windows
from .net import VocalNet, WaveToProbability, export_onnx

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 13_000_000, 14_000_000, 15_000_000
BATCH = 64
LEARNING_RATE = 2e-3
VALIDATION_PIECES = 200
DB = 1 / 80


def train_vocals(
    out: Annotated[Path, typer.Option(help="Model to write, .onnx.")],
    pieces: Annotated[
        int, typer.Option(min=1, help="Training pieces, four windows each at most.")
    ] = 2000,
    steps: Annotated[int, typer.Option(help="Training steps of 64 windows.")] = 600,
    seed: Annotated[int, typer.Option(help="Of initial weights and batches.")] = 0,
) -> None:
    """Train the vocal classifier on MiniMIDI with and without a synthetic singer, on one CPU core.

    Example: dmm bench train-vocals --out nano-vocals.onnx
    """
    print(train_and_export(out, pieces, steps, seed))


def train_and_export(out: Path, pieces: int, steps: int, seed: int) -> Path:
    """Render, train, calibrate on validation pieces, export; returns ``out``."""
    state = out.with_suffix(".state")
    windows = load_or_render_windows(state / "train", TRAIN_SEED, pieces)
    count = min(VALIDATION_PIECES, pieces)
    validation = load_or_render_windows(state / "validation", VALIDATION_SEED, count)
    torch.manual_seed(seed)
    net = VocalNet().to(memory_format=torch.channels_last)  # pyright: ignore
    schedule = Schedule(steps, BATCH, LEARNING_RATE, warmup=30, ema_decay=0.98)
    trained = fit("train vocals", net, VocalLoss(net, windows), schedule, state / "net.pt", seed)
    assert isinstance(trained, VocalNet)
    recompute_batch_norm(trained, windows, min(40, steps))
    scale, shift = fit_calibration(window_logits(trained, validation), validation.vocal)
    export_onnx(WaveToProbability(trained, scale, shift), out)
    return out


class VocalLoss:
    """Training loss of the vocal classifier on a random, augmented batch of windows."""

    def __init__(self, net: VocalNet, windows: VocalWindows):
        self.net = net
        self.levels, self.vocal = torch.from_numpy(windows.levels), torch.from_numpy(windows.vocal)

    def __call__(self, rng: torch.Generator) -> Tensor:
        """Binary cross-entropy; labels are smoothed to .02 and .98."""
        chosen = torch.randint(len(self.vocal), (BATCH,), generator=rng)
        levels = augment_levels(self.levels[chosen].float() / 255, rng)
        truth = self.vocal[chosen].float() * 0.96 + 0.02
        return F.binary_cross_entropy_with_logits(self.net(levels), truth)


def augment_levels(
    levels: Float[Tensor, "n 64 frames"], rng: torch.Generator
) -> Float[Tensor, "n 64 frames"]:
    """Equalise, low-pass, add noise, shift by up to two bands, mask a band and a span of time."""
    n, bands, frames = levels.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=rng)

    height = torch.linspace(0, 1, bands)[:, None]
    slope, bend, phase = 2 * uniform(1, 1) - 1, uniform(1, 1), 2 * torch.pi * uniform(1, 1)
    curve = 12 * slope * (height - 0.5) + 7 * bend * torch.cos(2 * torch.pi * height + phase)
    levels = levels + DB * curve * (levels > 0)
    levels = levels - DB * 50 * (height > 0.55 + 1.5 * uniform(1, 1))
    floor = 1 - DB * (25 + 80 * uniform(1, 1))
    levels = torch.maximum(levels, floor + DB * 2 * torch.randn(levels.shape, generator=rng))
    by = int(torch.randint(-2, 3, (), generator=rng))
    levels = torch.roll(levels, by, 1)
    at, width = (bands * uniform(1, 1)).long(), (8 * uniform(1, 1) * (uniform(1, 1) < 0.3)).long()
    band = torch.arange(bands)[:, None]
    levels = levels * ~((band >= at) & (band < at + width))
    at, width = (frames * uniform(1, 1)).long(), (15 * uniform(1, 1) * (uniform(1, 1) < 0.3)).long()
    time = torch.arange(frames)[None]
    levels = levels * ~((time >= at) & (time < at + width))
    return (levels - levels.amax((1, 2), keepdim=True) + 1).clamp(0, 1)


@torch.no_grad()
def recompute_batch_norm(net: VocalNet, windows: VocalWindows, batches: int) -> None:
    """Recompute the statistics of batch normalisation for the averaged weights, in place."""
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all batches
    net.train()
    rng = torch.Generator().manual_seed(0)
    for _ in range(batches):
        chosen = torch.randint(len(windows), (BATCH,), generator=rng).numpy()
        net(augment_levels(torch.from_numpy(windows.levels[chosen]).float() / 255, rng))
    net.eval()


@torch.no_grad()
def window_logits(net: VocalNet, windows: VocalWindows) -> Float[np.ndarray, " n"]:
    """Logit of each window, before calibration."""
    parts = torch.from_numpy(windows.levels).split(128)
    return torch.cat([net(part.float() / 255) for part in parts]).double().numpy()


def fit_calibration(
    uncalibrated: Float[np.ndarray, " n"], vocal: Bool[np.ndarray, " n"]
) -> tuple[float, float]:
    """Scale and shift of the logits with the least log loss (Platt 1999), slightly regularised."""

    def loss(x: np.ndarray) -> float:
        z = np.exp(x[0]) * uncalibrated + x[1]
        return float(np.logaddexp(0, np.where(vocal, -z, z)).mean() + 1e-3 * np.square(x).sum())

    found = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    return float(np.exp(found[0])), float(found[1])
