"""Sizes of an SDXL checkpoint from its header, and the configurations of its networks.

Usual loaders assume SDXL's own sizes. Here widths, depths, vocabulary and latent channels are read
from the file, so that a model of a few megabytes runs the same code as the seven-gigabyte one.
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

TE1 = "conditioner.embedders.0.transformer.text_model."
TE2 = "conditioner.embedders.1.model."
SIZE_EMBEDDING = 6 * 256
"""Width of SDXL's size and crop embedding, which follows the pooled text in ``adm_channels``."""
_LEVELS = (
    ("input_blocks.4", "input_blocks.5", "output_blocks.3", "output_blocks.4", "output_blocks.5"),
    ("input_blocks.7", "input_blocks.8", "middle_block", "output_blocks.0", "output_blocks.1",
     "output_blocks.2"),
)  # fmt: skip
"""UNet blocks with attention, at half and at a quarter of the latent's size."""


@dataclass(frozen=True)
class SdxlShapes:
    """Sizes of the four networks in a single-file SDXL checkpoint."""

    kind: ClassVar = "sdxl"
    name: ClassVar = "SDXL"
    pipeline: ClassVar = "StableDiffusionXLPipeline"

    latent_channels: int
    model_channels: int
    time_embed_dim: int
    adm_channels: int
    context_dim: int
    depths: tuple[int, int]
    """Transformer blocks per attention layer at the second and third UNet level."""
    te1: TextEncoderShapes
    te2: TextEncoderShapes
    vae_channels: tuple[int, ...]
    vae_layers: int
    """ResNet blocks per VAE encoder level."""
    custom: CustomLayout = STANDARD
    """Networks that are not in SDXL's layout; for these, depths above are 0."""

    @property
    def vocab_size(self) -> int:
        """Size of both tokenisers' vocabulary."""
        return self.te1.vocab_size

    def unet_config(self) -> dict[str, Any]:
        """Arguments of diffusers' UNet2DConditionModel."""
        if self.custom.unet:
            return self.custom.unet_config
        widths = [self.model_channels * multiple for multiple in (1, 2, 4)]
        return {
            "in_channels": self.latent_channels,
            "out_channels": self.latent_channels,
            "block_out_channels": widths,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "layers_per_block": 2,
            "transformer_layers_per_block": [1, *self.depths],
            "attention_head_dim": [max(1, width // 64) for width in widths],
            "cross_attention_dim": self.context_dim,
            "time_embedding_dim": self.time_embed_dim,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": self.adm_channels,
        }

    def vae_config(self) -> dict[str, Any]:
        """Arguments of diffusers' AutoencoderKL, with SDXL's scaling factor, or a ``TinyVae``."""
        if self.custom.vae:
            return self.custom.vae_config
        return vae_config(self.vae_channels, self.vae_layers, self.latent_channels, 0.13025)

    def text_configs(self) -> dict[str, dict[str, Any]]:
        """CLIPTextConfig arguments, with ``architectures``, by the name of each text encoder."""
        return {
            "text_encoder": {
                "architectures": ["CLIPTextModel"],
                **self.te1.clip_text_config(hidden_act="quick_gelu"),
            },
            "text_encoder_2": {
                "architectures": ["CLIPTextModelWithProjection"],
                **self.te2.clip_text_config(hidden_act="gelu"),
            },
        }


def sdxl_shapes(header: Header, custom: CustomLayout = STANDARD) -> SdxlShapes:
    """Read the sizes from an SDXL checkpoint's header; those of custom networks from ``custom``.

    KeyError names a missing tensor; ValueError for a UNet with another number of blocks.
    """
    vocab2, hidden2 = header[TE2 + "token_embedding.weight"]
    resblocks = TE2 + "transformer.resblocks."
    te1 = read_clip_sizes(header, TE1)
    return SdxlShapes(
        **(_custom_unet_sizes(custom.unet_config) if custom.unet else _read_unet_sizes(header)),
        context_dim=te1.hidden_size + hidden2,
        te1=te1,
        te2=TextEncoderShapes(
            vocab2,
            hidden2,
            header[resblocks + "0.mlp.c_fc.weight"][0],
            module_list_length(header, resblocks),
        ),
        **(custom_vae_sizes(custom.vae_config) if custom.vae else read_vae_sizes(header)),
        custom=custom,
    )


def _read_unet_sizes(header: Header) -> dict[str, Any]:
    depths = [
        {module_list_length(header, f"{UNET}{block}.1.transformer_blocks.") for block in level}
        for level in _LEVELS
    ]
    if module_list_length(header, UNET + "input_blocks.") != 9 or any(
        len(found) > 1 for found in depths
    ):
        raise ValueError("its UNet has blocks left out, or more of them")
    return {
        "model_channels": header[UNET + "input_blocks.0.0.weight"][0],
        "time_embed_dim": header[UNET + "time_embed.0.weight"][0],
        "adm_channels": header[UNET + "label_emb.0.0.weight"][1],
        "depths": (depths[0].pop(), depths[1].pop()),
    }


def _custom_unet_sizes(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_channels": config["block_out_channels"][0],
        "time_embed_dim": config["time_embedding_dim"],
        "adm_channels": config["projection_class_embeddings_input_dim"],
        "depths": (0, 0),
    }
