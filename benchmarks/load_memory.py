"""RAM that loading SDXL for training takes: ``python benchmarks/load_memory.py [--full]``.

A checkpoint of SDXL's architecture with random weights in half precision is loaded by sd-scripts
alone and by ``dmm_ext``, each in a process of its own, until all networks have the type in which
``sdxl-24gb`` trains (bf16, the VAE fp32). Prints one Markdown row each: date, commit, machine,
model, loader, MB of the file, MB of the process before and at its peak (getrusage), the difference
as a multiple of the file, the forecast's multiple, and CPU seconds.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from fuse import shapes, write_random
from provenance import provenance

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.sdxl_layout import single_file_tensors
from dmm.checkpoints.sdxl_shapes import SdxlShapes
from dmm.engine import find_engine

LOADERS = ("sd-scripts", "dmm_ext")
HEADER = (
    "| date | commit | machine | model | loader | file MB | MB before | MB at peak | times the file"
    " | forecast | CPU s |\n|" + "---|" * 11
)


def load(loader: str, checkpoint: Path) -> None:
    """Load in this process; prints kB before and at the peak, and CPU seconds."""
    sys.path.insert(0, str(find_engine()))
    from library import sdxl_model_util

    from dmm_ext.any_width import use_checkpoint_sizes
    from dmm_ext.light_loading import light_loading

    args = argparse.Namespace(
        pretrained_model_name_or_path=str(checkpoint),
        base_weights=None, fp8_base=False, fp8_base_unet=False,
    )  # fmt: skip
    sizes: SdxlShapes = read_architecture(checkpoint)  # type: ignore[assignment]
    how = light_loading(args, torch.bfloat16) if loader == "dmm_ext" else nullcontext()
    before, start = _peak(), time.process_time()
    with use_checkpoint_sizes(sizes), how:
        loaded = sdxl_model_util.load_models_from_sdxl_checkpoint("", str(checkpoint), "cpu")
    first, second, vae, unet = loaded[:4]
    for network in (first, second, unet):
        network.to(torch.bfloat16)
    vae.to(torch.float32)
    print(before, _peak(), time.process_time() - start)


def forecast_multiple(checkpoint: Path) -> float:
    """What the forecast says of loading, as a multiple of the file."""
    with torch.device("meta"):
        networks = build_networks(read_architecture(checkpoint))
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in networks.items()}
    vae, unet = counts.pop("vae"), counts.pop("unet")
    text = sum(counts.values())
    return (unet * 2 + text * (2 + 2) + vae * (4 + 2)) / checkpoint.stat().st_size


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def row(name: str, loader: str, checkpoint: Path) -> str:
    """Load in a process of its own; returns the Markdown row."""
    command = [sys.executable, "-W", "ignore", __file__, "--load", loader, str(checkpoint)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, peak, seconds = map(float, done.stdout.split("\n")[-2].split())
    kilo = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes
    size = checkpoint.stat().st_size
    forecast = f"{forecast_multiple(checkpoint):.2f}" if loader == "dmm_ext" else ""
    cells = (
        *provenance("1 thread"),
        name,
        loader,
        f"{size / 1e6:.0f}",
        f"{before / kilo:.0f}",
        f"{peak / kilo:.0f}",
        f"{(peak - before) / kilo * 2**20 / size:.2f}",
        forecast,
        f"{seconds:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure both loaders on every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--full",
        action="store_true",
        help="SDXL 1.0's own sizes: 21 GB of RAM, 9 by dmm_ext alone.",
    )
    parser.add_argument("--base", type=Path, help="A checkpoint to load instead.")
    parser.add_argument("--work", type=Path, help="Folder for the file.")
    parser.add_argument("--loaders", nargs="+", choices=LOADERS, default=LOADERS)
    parser.add_argument("--load", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load(options.load[0], Path(options.load[1]))
        return
    print(HEADER)
    sizes = (320, 768, 1280) if options.full else (64, 192, 256)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        checkpoint = options.base or Path(folder) / "base.safetensors"
        if not options.base:
            with torch.device("meta"):
                networks = build_networks(shapes(sizes[0], (2, 10), sizes[1], sizes[2], 49408))
            tensors = single_file_tensors(*networks.values())
            write_random(checkpoint, {key: tuple(t.shape) for key, t in tensors.items()})
        width = read_architecture(checkpoint).model_channels / 320
        for loader in options.loaders:
            print(row(f"{width:.1f} of SDXL's width", loader, checkpoint), flush=True)


if __name__ == "__main__":
    main()
