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
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])
