"""Cost of the trainer's losses per step on a CPU: ``python benchmarks/losses.py``.

Prints the table's header and one Markdown row for each size of latents: date, commit, machine,
size, and median CPU microseconds (10th to 90th percentile) on one thread after a warm-up. Measured
are the Huber threshold with its most expensive schedule (snr), extra losses and masks when off, row
weights with a gate, both extra losses with Huber (forward and backward), and SpecAugment on every
clip.
"""

import os
import time
from argparse import Namespace
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from provenance import provenance

from dmm_ext import huber, losses, spec_augment

SIZES = ((4, 4, 32, 32), (2, 4, 128, 128))
ALPHAS = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).cumprod(0)
HEADER = (
    "| date | commit | machine | latents | threshold µs | all off µs | row weights µs"
    " | extra loss, both ways µs | SpecAugment µs |\n|" + "---|" * 9
)
OFF = Namespace(gradient_weight=0.0, multires_weight=0.0, mel_tilt=0.0, snr_gate=None)
ON = Namespace(
    gradient_weight=0.5, multires_weight=0.5, mel_tilt=1.0, snr_gate=0.1, loss_type="huber"
)
HUBER = Namespace(
    loss_type="huber",
    huber_start=0.15,
    huber_end=0.05,
    huber_over="training",
    huber_curve="cosine",
    huber_schedule="snr",
    huber_c=0.1,
)


def microseconds(call: Callable[[], object], rounds: int = 400) -> str:
    """Median CPU time of a call, with its 10th and 90th percentile."""
    taken = []
    for _ in range(rounds):
        start = time.process_time_ns()
        call()
        taken.append((time.process_time_ns() - start) / 1000)
    low, middle, high = np.percentile(taken[rounds // 10 :], [10, 50, 90])
    return f"{middle:.0f} ({low:.0f}-{high:.0f})"


def row(size: tuple[int, ...]) -> str:
    """The Markdown row of one size of latents."""
    timesteps = torch.randint(0, 1000, size[:1])
    limits = torch.full(size[:1], 0.1)
    residual = torch.randn(size, requires_grad=True)
    latents = torch.randn(size)

    def off() -> None:
        losses.weighted_added_losses(residual, timesteps, ALPHAS, OFF)
        losses.main_loss_weight_map(
            size[2], timesteps, ALPHAS, OFF, spec_augment.mask_strips(latents, 0.0)[1]
        )

    def both_ways() -> None:
        residual.grad = None
        extra = losses.weighted_added_losses(residual, timesteps, ALPHAS, ON, threshold=limits)
        assert extra is not None
        extra.mean().backward()

    cells = (
        *provenance("1 thread"),
        " x ".join(map(str, size)),
        microseconds(lambda: huber.huber_threshold(HUBER, timesteps, ALPHAS, 0.5)),
        microseconds(off),
        microseconds(lambda: losses.main_loss_weight_map(size[2], timesteps, ALPHAS, ON)),
        microseconds(both_ways),
        microseconds(lambda: spec_augment.mask_strips(latents, 1.0)),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Time every size."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(HEADER)
    for size in SIZES:
        print(row(size), flush=True)


if __name__ == "__main__":
    main()
