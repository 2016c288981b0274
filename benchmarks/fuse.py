"""Memory and time of fusing and unfusing: ``python benchmarks/fuse.py [--full]``.

Uses checkpoints of SDXL's architecture with random weights in half precision, and a LoRA of rank 16
on every layer that sd-scripts trains. Each step runs in a process of its own on one thread. Its
resident memory (getrusage) is measured before the first tensor is read, and at the peak. ``--full``
takes SDXL 1.0's own sizes: two files of 7 GB in --work. Prints one Markdown row per step: date,
commit, machine, model, step, MB of the checkpoint and of the LoRA, MB before and at the peak, CPU
seconds.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from provenance import provenance
from torch import Tensor

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.lora_layers import lora_layers, trained_layers
from dmm.checkpoints.network_shapes import TextEncoderShapes
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.sdxl_layout import single_file_tensors
from dmm.checkpoints.sdxl_shapes import SIZE_EMBEDDING, SdxlShapes
from dmm.checkpoints.tensorfile import TensorSpec, write_tensors
from dmm.fusing.fuse import fuse
from dmm.fusing.unfuse import Ranks, extract_lora
from dmm.generation.loading import Lora

RANK = 16
HEADER = (
    "| date | commit | machine | model | step | checkpoint MB | LoRA MB | MB before | MB at peak"
    " | CPU s |\n|" + "---|" * 10
)


def shapes(width: int, depths: tuple[int, int], te1: int, te2: int, vocab: int) -> SdxlShapes:
    """Sizes with SDXL's proportions; SDXL 1.0 has 320, (2, 10), 768, 1280 and 49,408."""
    return SdxlShapes(
        latent_channels=4,
        model_channels=width,
        time_embed_dim=4 * width,
        adm_channels=te2 + SIZE_EMBEDDING,
        context_dim=te1 + te2,
        depths=depths,
        te1=TextEncoderShapes(vocab, te1, 4 * te1, 12),
        te2=TextEncoderShapes(vocab, te2, 4 * te2, 32),
        vae_channels=(128, 256, 512, 512),
        vae_layers=2,
    )


def write_random(path: Path, sizes: dict[str, tuple[int, ...]]) -> None:
    """Write a file of random tensors of these sizes, one at a time."""
    generator = torch.Generator().manual_seed(0)
    specs = {name: TensorSpec(torch.float16, size) for name, size in sizes.items()}

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name, size in sizes.items():
            yield (
                name,
                torch.empty(size, dtype=torch.float16).uniform_(-0.02, 0.02, generator=generator),
            )

    write_tensors(path, specs, tensors(), {})


def lora_sizes(model: SdxlShapes) -> dict[str, tuple[int, ...]]:
    """Names and sizes of a LoRA's tensors for every layer that sd-scripts trains."""
    sizes: dict[str, tuple[int, ...]] = {}
    for layer, place in trained_layers(model).items():
        out, taken, *kernel = place.size
        sizes[f"{layer}.lora_down.weight"] = (RANK, taken, *kernel)
        sizes[f"{layer}.lora_up.weight"] = (out, RANK, *[1] * len(kernel))
    return sizes


def measure(step: str, base: Path, lora: Path, fused: Path) -> None:
    """Run one step in this process; prints kB before and at the peak, and CPU seconds."""
    lora_layers(read_architecture(base))
    before, start = _peak(), time.process_time()
    if step == "fuse":
        fuse(base, [Lora(lora)], fused)
    else:
        extract_lora(base, fused, lora.with_name("back.safetensors"), Ranks(RANK, RANK))
    print(before, _peak(), time.process_time() - start)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def row(name: str, step: str, base: Path, lora: Path, fused: Path) -> str:
    """Run one step in a process of its own; returns the Markdown row."""
    files = map(str, (base, lora, fused))
    command = [sys.executable, "-W", "ignore", __file__, "--step", step, *files]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    before, peak, seconds = map(float, done.stdout.split())
    kilo = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes
    cells = (
        *provenance("1 thread"),
        name,
        step,
        f"{base.stat().st_size / 1e6:.0f}",
        f"{lora.stat().st_size / 1e6:.0f}",
        f"{before / kilo:.0f}",
        f"{peak / kilo:.0f}",
        f"{seconds:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure every model and step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="SDXL 1.0's own sizes.")
    parser.add_argument("--unfuse", action="store_true", help="Unfuse too: minutes at full size.")
    parser.add_argument("--work", type=Path, help="Folder for the files.")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, *files = options.step
        measure(step, *map(Path, files))
        return
    models = {
        "a fifth of SDXL's width": shapes(64, (2, 10), 192, 256, 49408),
        "two fifths": shapes(128, (2, 10), 320, 512, 49408),
    }
    if options.full:
        models = {"SDXL 1.0's sizes": shapes(320, (2, 10), 768, 1280, 49408)}
    print(HEADER)
    for name, model in models.items():
        with tempfile.TemporaryDirectory(dir=options.work) as folder:
            base, lora, fused = (
                Path(folder) / f"{f}.safetensors" for f in ("base", "lora", "fused")
            )
            with torch.device("meta"):
                networks = build_networks(model)
            tensors = single_file_tensors(*networks.values())
            write_random(base, {key: tuple(tensor.shape) for key, tensor in tensors.items()})
            write_random(lora, lora_sizes(model))
            for step in ("fuse", "unfuse") if options.unfuse else ("fuse",):
                print(row(name, step, base, lora, fused), flush=True)


if __name__ == "__main__":
    main()
