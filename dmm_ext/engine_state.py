"""The models and settings that the engine has loaded, as validation and previews need them."""

import argparse
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class EngineState:
    """Models and settings of the current run."""

    args: argparse.Namespace
    accelerator: Any
    network: Any
    """The LoRA network, unwrapped; it is hooked into the UNet."""
    unet: Any
    vae: Any
    """On the CPU while latents are cached; code that needs it moves it and moves it back."""
    text_encoders: list[Any]
    noise_scheduler: Any
    """The engine's DDPM scheduler; ``alphas_cumprod`` has 1000 entries."""
    weight_dtype: torch.dtype
    vae_dtype: torch.dtype
