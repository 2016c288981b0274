"""Layers that a LoRA may change, and the location of each in a single-file checkpoint.

sd-scripts names a layer after its module with dots replaced by underscores, which cannot be
reversed. So the networks are built on the meta device, and both names are derived from each
module's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from . import networks
from .architecture import Shapes
from .network_shapes import UNET
from .sd15_shapes import TE, Sd15Shapes
from .sdxl_layout import te2_key, unet_key
from .sdxl_shapes import TE1, TE2


@dataclass(frozen=True)
class LayerLocation:
    """Location of one layer's weight in a checkpoint."""

    tensor: str
    """Name of the tensor in the checkpoint."""
    size: tuple[int, ...]
    """Size of the layer's weight: (out, in), or (out, in, rows, columns) for a convolution."""
    first_row: int = 0
    """First row in OpenCLIP's joint matrix of q, k and v."""
    transposed: bool = False

    def weight_view(self, tensor: Tensor) -> Tensor:
        """The layer's weight, as a view of the checkpoint's tensor."""
        weight = tensor.T if self.transposed else tensor
        return weight[self.first_row : self.first_row + self.size[0]]


@cache
def lora_layers(shapes: Shapes) -> dict[str, LayerLocation]:
    """All layers that a LoRA of sd-scripts may have for a base of these sizes, by their LoRA names.

    SDXL's UNet layers have two names each, because LoRAs use either layout.
    """
    is_sd15 = isinstance(shapes, Sd15Shapes)
    layers: dict[str, LayerLocation] = {}
    for part, key, size in _named_weights(shapes):
        if part == "unet":
            without_attention = (0,) if is_sd15 else ()
            ours = key if shapes.custom.unet else unet_key(key, without_attention)
            location = LayerLocation(UNET + ours, size)
            layers[_layer_name("lora_unet_", key)] = location
            if not is_sd15:
                layers[_layer_name("lora_unet_", ours)] = location
        elif part == "text_encoder":
            name = (TE if is_sd15 else TE1) + key.removeprefix("text_model.")
            layers[_layer_name("lora_te_" if is_sd15 else "lora_te1_", key)] = LayerLocation(
                name, size
            )
        else:
            first_row = next((i * size[0] for i, p in enumerate("qkv") if f".{p}_proj." in key), 0)
            transposed = key == "text_projection.weight"
            location = LayerLocation(TE2 + te2_key(key), size, first_row, transposed)
            layers[_layer_name("lora_te2_", key)] = location
    return layers


def trained_layers(shapes: Shapes) -> dict[str, LayerLocation]:
    """The layers that sd-scripts trains, convolutions included, by its own names.

    These are all matrices and kernels in the UNet's blocks and in the text encoders' layers.
    """
    inside = ("down_blocks_", "mid_block_", "up_blocks_")
    if not isinstance(shapes, Sd15Shapes):
        inside = ("input_blocks_", "middle_block_", "output_blocks_")
    starts = tuple("lora_unet_" + block for block in inside)
    return {
        layer: location
        for layer, location in lora_layers(shapes).items()
        if "_encoder_layers_" in layer
        or (layer.startswith(starts) and layer != "lora_unet_input_blocks_0_0")
    }


def _named_weights(shapes: Shapes) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Network, diffusers' name and size of every matrix and kernel of UNet and text encoders."""
    with torch.device("meta"):
        parts: dict[str, Any] = networks.build_networks(shapes)
    del parts["vae"]
    for part, network in parts.items():
        for key, tensor in network.named_parameters():
            if key.endswith(".weight") and tensor.ndim > 1:
                yield part, key, tuple(tensor.shape)


def _layer_name(prefix: str, key: str) -> str:
    return prefix + key.removesuffix(".weight").replace(".", "_")
