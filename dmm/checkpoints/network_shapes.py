"""Sizes and configurations of CLIP text encoders and the VAE, for both SD 1.5 and SDXL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .header import Header, module_list_length

UNET = "model.diffusion_model."
VAE = "first_stage_model."


@dataclass(frozen=True)
class TextEncoderShapes:
    """Sizes of one CLIP text encoder; heads have CLIP's width of 64."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int

    def clip_text_config(self, *, hidden_act: str) -> dict[str, Any]:
        """Arguments of transformers' CLIPTextConfig."""
        return {
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.hidden_size // 64,
            "projection_dim": self.hidden_size,
            "max_position_embeddings": 77,
            "hidden_act": hidden_act,
            "bos_token_id": 0,
            "eos_token_id": 2,  # with 2, transformers pools at the largest id, which is end-of-text
            "pad_token_id": 1,
        }


def read_clip_sizes(header: Header, prefix: str) -> TextEncoderShapes:
    """Sizes of an OpenAI CLIP text encoder from a header; KeyError if a tensor is missing."""
    vocab_size, hidden_size = header[prefix + "embeddings.token_embedding.weight"]
    layers = prefix + "encoder.layers."
    intermediate_size = header[layers + "0.mlp.fc1.weight"][0]
    return TextEncoderShapes(
        vocab_size, hidden_size, intermediate_size, module_list_length(header, layers)
    )


def read_vae_sizes(header: Header) -> dict[str, Any]:
    """Fields of ``SdxlShapes`` and ``Sd15Shapes`` for the VAE; KeyError if there is none."""
    down = VAE + "encoder.down."
    levels = range(module_list_length(header, down))
    return {
        "latent_channels": header[VAE + "decoder.conv_in.weight"][1],
        "vae_channels": tuple(header[f"{down}{i}.block.0.conv1.weight"][0] for i in levels),
        "vae_layers": module_list_length(header, down + "0.block."),
    }


def custom_vae_sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields from the arguments of a ``TinyVae``; ValueError for another tiny VAE."""
    if "block_out_channels" not in config:
        raise ValueError("its tiny VAE is of an earlier version: distil the decoder again")
    return {
        "latent_channels": config["latent_channels"],
        "vae_channels": tuple(config["block_out_channels"]),
        "vae_layers": max(config["blocks"]),
    }


def vae_config(
    channels: tuple[int, ...], layers: int, latent_channels: int, scaling_factor: float
) -> dict[str, Any]:
    """Arguments of diffusers' AutoencoderKL; ``layers`` are ResNet blocks per encoder level."""
    return {
        "block_out_channels": list(channels),
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "latent_channels": latent_channels,
        "layers_per_block": layers,
        "scaling_factor": scaling_factor,
    }
