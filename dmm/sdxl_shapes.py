"""The sizes of an SDXL-architecture checkpoint, read from its safetensors header.

SDXL's loaders assume SDXL's own widths. Every width, depth, vocabulary and latent size that our
code needs is read from the file instead, so a model of a few megabytes goes through the same
code as the seven-gigabyte one. No tensor is loaded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from .cards import verify_card
from .errors import ModelError

UNET = "model.diffusion_model."
TE1 = "conditioner.embedders.0.transformer.text_model."
TE2 = "conditioner.embedders.1.model."
VAE = "first_stage_model."
SIZE_EMBEDDING = 6 * 256
"""Width of SDXL's size and crop embedding, which follows the pooled text in the ADM input."""


@dataclass(frozen=True)
class TextEncoderShapes:
    """Sizes of one CLIP text encoder; heads are 64 wide by CLIP's convention."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int

    def config(self, *, hidden_act: str) -> dict[str, Any]:
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
            "eos_token_id": 2,  # transformers then pools at the largest id, which is end-of-text
            "pad_token_id": 1,
        }


@dataclass(frozen=True)
class SdxlShapes:
    """Sizes of the four networks in a single-file SDXL checkpoint."""

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

    def unet_config(self) -> dict[str, Any]:
        """Arguments of diffusers' UNet2DConditionModel."""
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
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": self.adm_channels,
        }

    def vae_config(self) -> dict[str, Any]:
        """Arguments of diffusers' AutoencoderKL; the scaling factor is SDXL's."""
        levels = len(self.vae_channels)
        return {
            "block_out_channels": list(self.vae_channels),
            "down_block_types": ["DownEncoderBlock2D"] * levels,
            "up_block_types": ["UpDecoderBlock2D"] * levels,
            "latent_channels": self.latent_channels,
            "layers_per_block": self.vae_layers,
            "scaling_factor": 0.13025,
        }


def read_shapes(checkpoint: Path) -> SdxlShapes:
    """Sizes of a single-file SDXL checkpoint; ModelError for a missing or another kind of file."""
    with _opened(checkpoint) as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}
    try:
        return _shapes_of(shapes)
    except (KeyError, IndexError) as error:
        raise ModelError(
            f"{checkpoint}: not a single-file SDXL checkpoint (no {error}); "
            "name the .safetensors file that holds UNet, text encoders and VAE"
        ) from error


def read_metadata(checkpoint: Path) -> dict[str, str]:
    """The free-text metadata in a safetensors header, empty if there is none."""
    with _opened(checkpoint) as file:
        return file.metadata() or {}


def _opened(checkpoint: Path) -> Any:
    """The file with its header read and no tensor loaded.

    ModelError if it is not whole, or not the file that the model card beside it names.
    """
    if not checkpoint.is_file():
        raise ModelError(f"{checkpoint}: no such checkpoint; check the path")
    verify_card(checkpoint)
    try:
        return safe_open(checkpoint, framework="numpy")
    except SafetensorError as error:
        raise ModelError(f"{checkpoint}: not a whole safetensors file ({error})") from error


def _shapes_of(shapes: dict[str, list[int]]) -> SdxlShapes:
    channels, latent_channels = shapes[UNET + "input_blocks.0.0.weight"][:2]
    te1, te2 = TE1 + "encoder.layers.", TE2 + "transformer.resblocks."
    down = VAE + "encoder.down."
    levels = _count(shapes, down)
    vocab1, hidden1 = shapes[TE1 + "embeddings.token_embedding.weight"]
    vocab2, hidden2 = shapes[TE2 + "token_embedding.weight"]
    return SdxlShapes(
        latent_channels=latent_channels,
        model_channels=channels,
        time_embed_dim=shapes[UNET + "time_embed.0.weight"][0],
        adm_channels=shapes[UNET + "label_emb.0.0.weight"][1],
        context_dim=hidden1 + hidden2,
        depths=(
            _count(shapes, UNET + "input_blocks.4.1.transformer_blocks."),
            _count(shapes, UNET + "input_blocks.7.1.transformer_blocks."),
        ),
        te1=TextEncoderShapes(
            vocab1, hidden1, shapes[te1 + "0.mlp.fc1.weight"][0], _count(shapes, te1)
        ),
        te2=TextEncoderShapes(
            vocab2, hidden2, shapes[te2 + "0.mlp.c_fc.weight"][0], _count(shapes, te2)
        ),
        vae_channels=tuple(
            shapes[f"{down}{level}.block.0.conv1.weight"][0] for level in range(levels)
        ),
        vae_layers=_count(shapes, down + "0.block."),
    )


def _count(shapes: dict[str, list[int]], prefix: str) -> int:
    """How many different numbers follow the prefix: the length of a module list."""
    return len({key.removeprefix(prefix).split(".")[0] for key in shapes if key.startswith(prefix)})
