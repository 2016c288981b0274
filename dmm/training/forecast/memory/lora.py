"""Put a LoRA on the layers that sd-scripts would choose, in networks of diffusers.

The engine chooses by class names (``LoRANetwork`` in its ``networks/lora.py``). Those of diffusers
and transformers are equal, so the same rule finds the same layers here. Tests compare the
numbers of modules and parameters with the engine's.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

ATTENTION = ("Transformer2DModel",)
CONVOLUTIONS = ("ResnetBlock2D", "Downsample2D", "Upsample2D")
"""Further classes of the UNet whose layers are chosen if ``conv_dim`` is set."""
TEXT = ("CLIPAttention", "CLIPSdpaAttention", "CLIPMLP")


class LoraLayer(nn.Module):
    """A LoRA on a layer, whose ``forward`` it calls."""

    def __init__(self, layer: nn.Module, rank: int) -> None:
        super().__init__()
        if isinstance(layer, nn.Conv2d):
            geometry: Any = (layer.kernel_size, layer.stride, layer.padding)
            self.down: nn.Module = nn.Conv2d(layer.in_channels, rank, *geometry, bias=False)
            self.up: nn.Module = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        elif isinstance(layer, nn.Linear):
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        else:
            raise TypeError(f"no LoRA goes on a {type(layer).__name__}")
        self.original = layer.forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's output plus the LoRA's, multiplied twice as the engine does."""
        return self.original(x) + self.up(self.down(x)) * 1.0 * 1.0


def add_lora(network: nn.Module, rank: int, conv_rank: int | None = None) -> list[LoraLayer]:
    """Put a LoRA on a UNet's or a text encoder's layers, in place; returns the LoRA's modules.

    ``conv_rank`` is the engine's ``conv_dim``, for convolutions larger than 1 x 1; None leaves out
    these and all layers of the residual blocks that contain them.
    """
    added = []
    for layer, own_rank in list(lora_layers(network, rank, conv_rank)):
        lora = LoraLayer(layer, own_rank)
        layer.forward = lora.forward
        added.append(lora)
    return added


def lora_layers(
    network: nn.Module, rank: int, conv_rank: int | None = None
) -> Iterator[tuple[nn.Module, int]]:
    """Yield each layer that the engine would choose, and its rank."""
    holders = (*ATTENTION, *TEXT, *(CONVOLUTIONS if conv_rank else ()))
    for holder in network.modules():
        if type(holder).__name__ not in holders:
            continue
        for layer in holder.modules():
            if type(layer) is nn.Linear or (
                type(layer) is nn.Conv2d and layer.kernel_size == (1, 1)
            ):
                yield layer, rank
            elif type(layer) is nn.Conv2d and conv_rank:
                yield layer, conv_rank
