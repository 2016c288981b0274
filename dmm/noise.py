"""The noise that a clip begins with: its seed alone decides it, whatever draws it and where."""

from collections.abc import Sequence

import torch
from jaxtyping import Float


def first_noise(
    seeds: Sequence[int], shape: tuple[int, int, int]
) -> Float[torch.Tensor, "clips channels rows frames"]:
    """Standard normal noise on the CPU in full precision, each clip's from its own seed.

    This is what diffusers draws from CPU generators in float32. In bfloat16 it would draw noise
    that has nothing in common with it, never beyond 3.4: so cast what comes from here.
    """
    return next_noise([torch.Generator().manual_seed(seed) for seed in seeds], shape)


def next_noise(
    generators: Sequence[torch.Generator], shape: tuple[int, int, int]
) -> Float[torch.Tensor, "clips channels rows frames"]:
    """The same from generators on the CPU, which may then go on to make a sampler's own noise."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])
