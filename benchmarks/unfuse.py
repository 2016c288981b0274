"""Time and error of extracting a LoRA, beside the full SVD: ``python benchmarks/unfuse.py``.

The sizes are those of SDXL 1.0's UNet that hold most of its weights. Each is tried with a change as
a LoRA leaves it in a half-precision file (rank 16 and rounding noise), and with changes whose
singular values do not fall, or fall as 1/sqrt(k), as 1/k and as exp(-k/50). One thread; the ways
are timed in turn in one process. The energy of the factors is compared with that which the full
SVD's singular values allow. Prints one Markdown row per size: date, commit, machine, size, layers
of that size, rank, CPU seconds, multiples of them that the full SVD and the Gram matrix take
(median over changes, with the range), and the greatest shortfall. The last row adds up the CPU
seconds of a LoRA's change over all layers of the UNet, each at the speed of the nearest size.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from math import prod
from statistics import median
from typing import Any, TypeVar

import torch
from fuse import shapes
from provenance import provenance
from torch import Tensor

from dmm.checkpoints.lora_layers import trained_layers
from dmm.fusing import low_rank

Result = TypeVar("Result")
LARGEST = 5
"""Sizes that are tried: those that hold most weights together."""
HEADER = (
    "| date | commit | machine | size | layers | rank | CPU s | full SVD | Gram matrix"
    " | shortfall of what is kept |\n|" + "---|" * 10
)


def layer_counts() -> Counter[tuple[int, int]]:
    """Rows and columns of SDXL 1.0's UNet layers, and how many there are of each."""
    model = shapes(320, (2, 10), 768, 1280, 49408)
    places = trained_layers(model).items()
    sizes = [place.size for layer, place in places if layer.startswith("lora_unet_")]
    return Counter((size[0], prod(size[1:])) for size in sizes)


def changes(rows: int, columns: int, seed: int) -> dict[str, Tensor]:
    """Changes of this size, by the kind of their spectrum."""
    generator = torch.Generator().manual_seed(seed)

    def gauss(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    base, lora = 0.02 * gauss(rows, columns), gauss(rows, 16) @ gauss(16, columns) * 2.5e-4
    count = min(rows, columns)
    number = torch.arange(1.0, count + 1)
    u, v = (torch.linalg.qr(gauss(side, count)).Q for side in (rows, columns))
    spectra = {
        "flat": number**0, "1/sqrt(k)": number**-0.5, "1/k": 1 / number,
        "exp(-k/50)": torch.exp(-number / 50),
    }  # fmt: skip
    found = {name: (u * strengths) @ v.T for name, strengths in spectra.items()}
    return {"LoRA": (base + lora).half().float() - base.half().float(), **found}


def cpu_seconds(work: Callable[..., Result], *arguments: Any) -> tuple[float, Result]:
    """CPU seconds of one call, and its result."""
    start = time.process_time()
    result = work(*arguments)
    return time.process_time() - start, result


def gram_factors(change: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The exact way that small matrices take."""
    tall = change.T if len(change) <= change.shape[1] else change
    return low_rank._exact_directions(tall.double(), rank)


def main() -> None:
    """Measure the largest sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", type=int, default=32, help="As dmm unfuse by default.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts = layer_counts()
    by_weights = sorted(counts, key=lambda size: -counts[size] * prod(size))[:LARGEST]
    print(HEADER)
    speed = {}
    for size in by_weights:
        ours, svd, gram, shortfalls = [], [], [], []
        for change in changes(*size, options.seed).values():
            seconds, (_, kept) = cpu_seconds(low_rank.best_factors, change, options.rank)
            ours.append(seconds)
            seconds, parts = cpu_seconds(lambda c: torch.linalg.svd(c, full_matrices=False), change)
            svd.append(seconds / ours[-1])
            gram.append(cpu_seconds(gram_factors, change, options.rank)[0] / ours[-1])
            best = float(parts[1][: options.rank].double().square().sum())
            shortfalls.append(1 - kept / best)
        speed[size] = ours[0]
        cells = (
            *provenance("1 thread"),
            f"{size[0]} x {size[1]}",
            str(counts[size]),
            str(options.rank),
            f"{median(ours):.3f} ({min(ours):.3f} to {max(ours):.3f})",
            f"{median(svd):.1f} x ({min(svd):.1f} to {max(svd):.1f})",
            f"{median(gram):.1f} x ({min(gram):.1f} to {max(gram):.1f})",
            f"{max(shortfalls):.1e}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)
    total = sum(count * _nearest(speed, size) for size, count in counts.items())
    cells = (*provenance("1 thread"), "all", str(sum(counts.values())), str(options.rank))
    print(f"| {' | '.join(cells)} | {total:.0f} | | | |")


def _nearest(speed: dict[tuple[int, int], float], size: tuple[int, int]) -> float:
    """Seconds of a size at the speed, per weight, of the tried size nearest to it."""
    near = min(speed, key=lambda tried: abs(prod(tried) - prod(size)))
    return speed[near] * prod(size) / prod(near)


if __name__ == "__main__":
    main()
