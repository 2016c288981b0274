"""Bases of random weights: SDXL 1.0's or SD 1.5's sizes, or tiny ones, in half precision.

``python -m bench.random_base sdxl|sd15 FILE [--tiny]``. Weights are uniform with a standard
deviation of 1 / sqrt(3 fan-in), norms 1, biases 0, so that activations stay finite in half
precision and images are neither black nor white.
"""

import argparse
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dmm.checkpoints.network_shapes import TextEncoderShapes
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.sd15_layout import single_file_tensors as sd15_tensors
from dmm.checkpoints.sd15_shapes import Sd15Shapes
from dmm.checkpoints.sdxl_layout import single_file_tensors as sdxl_tensors
from dmm.checkpoints.sdxl_shapes import SdxlShapes
from dmm.checkpoints.tensorfile import TensorSpec, write_tensors
from dmm.pretraining.nano import NANO

FIRST_ENCODER = TextEncoderShapes(49408, 768, 3072, 12)
SHAPES: dict[tuple[str, bool], Any] = {
    ("sdxl", False): SdxlShapes(
        latent_channels=4, model_channels=320, time_embed_dim=1280, adm_channels=2816,
        context_dim=2048, depths=(2, 10), te1=FIRST_ENCODER,
        te2=TextEncoderShapes(49408, 1280, 5120, 32),
        vae_channels=(128, 256, 512, 512), vae_layers=2,
    ),
    ("sd15", False): Sd15Shapes(
        4, (320, 640, 1280, 1280), 1280, FIRST_ENCODER, (128, 256, 512, 512), 2
    ),
    ("sdxl", True): NANO,
    ("sd15", True): Sd15Shapes(
        4, (32, 64, 96, 96), 64, TextEncoderShapes(1024, 64, 96, 3), (32, 32, 64, 64), 1
    ),
}  # fmt: skip
"""By kind and whether tiny."""


def write_base(path: Path, kind: str, tiny: bool, seed: int = 0) -> None:
    """Write a base, one tensor at a time."""
    with torch.device("meta"):
        networks = build_networks(SHAPES[kind, tiny])
    tensors = {"sdxl": sdxl_tensors, "sd15": sd15_tensors}[kind](*networks.values())
    specs = {name: TensorSpec(torch.float16, tuple(t.shape)) for name, t in tensors.items()}
    generator = torch.Generator().manual_seed(seed)

    def weights() -> Iterator[tuple[str, Tensor]]:
        for name, spec in specs.items():
            yield name, random_weight(name, spec.shape, generator)

    metadata = {"format": "pt", "dmm_format": "nano" if tiny else "sdxl-512"}
    write_tensors(path, specs, weights(), metadata)


def random_weight(name: str, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A weight with which activations stay of order one."""
    if len(size) < 2:
        return (torch.ones if name.endswith("weight") else torch.zeros)(size, dtype=torch.half)
    bound = prod(size[1:]) ** -0.5
    return torch.empty(size).uniform_(-bound, bound, generator=generator).half()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("sdxl", "sd15"))
    parser.add_argument("path", type=Path)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    write_base(options.path, options.kind, options.tiny)
