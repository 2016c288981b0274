"""Sizes of an SD 1.5 checkpoint from its header, and the configurations of its networks.

Widths, the vocabulary and numbers of layers are read from the file, so a tiny test model runs the
same code as SD 1.5. The UNet's other sizes are those of SD 1.5: eight attention heads, one
transformer block per attention layer, two ResNet blocks per level. Networks of another layout
state their configuration in the file's metadata (``custom_layout.py``).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from .custom_layout import STANDARD, CustomLayout
from .header import Header, module_list_length
from .network_shapes import (
    UNET,
    TextEncoderShapes,
    custom_vae_sizes,
    read_clip_sizes,
    read_vae_sizes,
    vae_config,
)

TE = "cond_stage_model.transformer.text_model."
HEADS = 8


@dataclass(frozen=True)
class Sd15Shapes:
    """Sizes of the three networks in a single-file SD 1.5 checkpoint."""

    kind: ClassVar = "sd15"
    name: ClassVar = "SD 1.5"
    pipeline: ClassVar = "StableDiffusionPipeline"

    latent_channels: int
    channels: tuple[int, ...]
    """Widths of the UNet's four levels."""
    time_embed_dim: int
    te: TextEncoderShapes
    vae_channels: tuple[int, ...]
    vae_layers: int
    """ResNet blocks per VAE encoder level."""
    custom: CustomLayout = STANDARD
    """Networks that are not in SD 1.5's layout; ``channels`` are then the UNet's own levels."""

    @property
    def vocab_size(self) -> int:
        """Size of the tokeniser's vocabulary."""
        return self.te.vocab_size

    @property
    def model_channels(self) -> int:
        """Width of the UNet's first level."""
        return self.channels[0]

    @property
    def context_dim(self) -> int:
        """Width of the text features that the UNet attends to."""
        return self.te.hidden_size

    def unet_config(self) -> dict[str, Any]:
        """Arguments of diffusers' UNet2DConditionModel."""
        if self.custom.unet:
            return self.custom.unet_config
        attended = len(self.channels) - 1
        return {
            "in_channels": self.latent_channels,
            "out_channels": self.latent_channels,
            "block_out_channels": list(self.channels),
            "down_block_types": ["CrossAttnDownBlock2D"] * attended + ["DownBlock2D"],
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * attended,
            "layers_per_block": 2,
            "attention_head_dim": HEADS,  # diffusers' name for the number of heads
            "cross_attention_dim": self.context_dim,
            "time_embedding_dim": self.time_embed_dim,
        }

    def vae_config(self) -> dict[str, Any]:
        """Arguments of diffusers' AutoencoderKL, with SD 1.5's factor, or a ``TinyVae``."""
        if self.custom.vae:
            return self.custom.vae_config
        return vae_config(self.vae_channels, self.vae_layers, self.latent_channels, 0.18215)

    def text_configs(self) -> dict[str, dict[str, Any]]:
        """Arguments of CLIPTextConfig and the class, for a pipeline's text encoder."""
        config = self.te.clip_text_config(hidden_act="quick_gelu")
        return {"text_encoder": {"architectures": ["CLIPTextModel"], **config}}


def sd15_shapes(header: Header, custom: CustomLayout = STANDARD) -> Sd15Shapes:
    """Read the sizes from a single-file SD 1.5 checkpoint's header, or from ``custom`` layouts.

    KeyError names a missing tensor; ValueError for a standard UNet without 12 input blocks.
    """
    return Sd15Shapes(
        **(_custom_unet_sizes(custom.unet_config) if custom.unet else _read_unet_sizes(header)),
        te=read_clip_sizes(header, TE),
        **(custom_vae_sizes(custom.vae_config) if custom.vae else read_vae_sizes(header)),
        custom=custom,
    )


def _read_unet_sizes(header: Header) -> dict[str, Any]:
    if (blocks := module_list_length(header, UNET + "input_blocks.")) != 12:
        raise ValueError(f"its UNet has {blocks} input blocks, not 12")
    widths = (
        header[f"{UNET}input_blocks.{block}.0.out_layers.3.weight"][0] for block in (1, 4, 7, 10)
    )
    return {
        "channels": tuple(widths),
        "time_embed_dim": header[UNET + "time_embed.0.weight"][0],
    }


def _custom_unet_sizes(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "channels": tuple(config["block_out_channels"]),
        "time_embed_dim": config["time_embedding_dim"],
    }
