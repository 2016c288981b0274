"""Initial noise of diffusion, which depends on the seed alone, on every device."""

from collections.abc import Sequence

import torch
from jaxtyping import Float


def first_noise(
    seeds: Sequence[int], shape: tuple[int, int, int]
) -> Float[torch.Tensor, "clips channels rows frames"]:
    """Standard normal noise on the CPU in float32, each clip's from its own seed.

    Equal to diffusers' noise from CPU generators in float32. In bfloat16 diffusers gets unrelated
    noise with values up to 3.4 only, so cast this noise instead.
    """
    return next_noise([torch.Generator().manual_seed(seed) for seed in seeds], shape)


def next_noise(
    generators: Sequence[torch.Generator], shape: tuple[int, int, int]
) -> Float[torch.Tensor, "clips channels rows frames"]:
    """Standard normal noise, each clip's from its own CPU generator, which is advanced."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def slerp(
    a: Float[torch.Tensor, "*shape"], b: Float[torch.Tensor, "*shape"], share: float
) -> Float[torch.Tensor, "*shape"]:
    """Spherical interpolation from ``a`` (0) to ``b`` (1), which keeps the noise level.

    Linear interpolation would weaken the noise by up to 3 dB.
    """
    if share in (0, 1):
        return b.clone() if share else a.clone()
    cosine = torch.dot(a.flatten(), b.flatten()) / (a.norm() * b.norm())
    angle = torch.acos(cosine.clamp(-1, 1))
    if angle < 1e-3:
        return torch.lerp(a, b, share)
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)
