"""Rename diffusers' tensors to those of a single-file SDXL checkpoint, and write one.

Both diffusers and sd-scripts read the single-file layout. The opposite direction is diffusers' own
``from_single_file``, with which tests compare this mapping. SD 1.5 names UNet and VAE in the same
way.
"""

import re
from collections.abc import Container, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..files import whole_file
from .custom_layout import STANDARD, CustomLayout
from .custom_tensors import custom_tensors
from .network_shapes import UNET, VAE
from .sdxl_shapes import TE1, TE2

Rules = list[tuple[str, str]]

_RESNET: Rules = [
    (r"\.norm1\.", ".in_layers.0."),
    (r"\.conv1\.", ".in_layers.2."),
    (r"\.time_emb_proj\.", ".emb_layers.1."),
    (r"\.norm2\.", ".out_layers.0."),
    (r"\.conv2\.", ".out_layers.3."),
    (r"\.conv_shortcut\.", ".skip_connection."),
]
_UNET: Rules = [
    (r"^time_embedding\.linear_1\.", "time_embed.0."),
    (r"^time_embedding\.linear_2\.", "time_embed.2."),
    (r"^add_embedding\.linear_1\.", "label_emb.0.0."),
    (r"^add_embedding\.linear_2\.", "label_emb.0.2."),
    (r"^conv_in\.", "input_blocks.0.0."),
    (r"^conv_norm_out\.", "out.0."),
    (r"^conv_out\.", "out.2."),
    (r"^mid_block\.resnets\.0\.", "middle_block.0."),
    (r"^mid_block\.attentions\.0\.", "middle_block.1."),
    (r"^mid_block\.resnets\.1\.", "middle_block.2."),
]
_VAE: Rules = [
    (r"^((?:en|de)coder)\.conv_norm_out\.", r"\1.norm_out."),
    (r"\.mid_block\.resnets\.0\.", ".mid.block_1."),
    (r"\.mid_block\.resnets\.1\.", ".mid.block_2."),
    (r"\.mid_block\.attentions\.0\.group_norm\.", ".mid.attn_1.norm."),
    (r"\.mid_block\.attentions\.0\.to_([qkv])\.", r".mid.attn_1.\1."),
    (r"\.mid_block\.attentions\.0\.to_out\.0\.", ".mid.attn_1.proj_out."),
    (r"\.down_blocks\.(\d)\.resnets\.", r".down.\1.block."),
    (r"\.down_blocks\.(\d)\.downsamplers\.0\.", r".down.\1.downsample."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
]
_TE2: Rules = [
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.embeddings\.token_embedding\.", "token_embedding."),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"\.layer_norm([12])\.", r".ln_\1."),
    (r"\.fc1\.", ".c_fc."),
    (r"\.fc2\.", ".c_proj."),
    (r"\.self_attn\.out_proj\.", ".attn.out_proj."),
    (r"\.self_attn\.[qkv]_proj\.", ".attn.in_proj_"),
    (r"^text_projection\.weight$", "text_projection"),
]


def _renamed(key: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def unet_key(key: str, without_attention: Container[int] = ()) -> str:
    """A UNet tensor's single-file name, without prefix, from its name in diffusers.

    ``without_attention`` are the up levels without attention layers (SD 1.5: level 0), whose
    upsampler is the second module of its block instead of the third.
    """
    if match := re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", key):
        side, level, kind, index, rest = match.groups()
        block = 3 * int(level) + int(index) + (1 if side == "down" else 0)  # block 0 is conv_in
        if kind == "downsamplers":
            return f"input_blocks.{3 * int(level) + 3}.0.op.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":
            place = 1 if int(level) in without_attention else 2
            return f"output_blocks.{3 * int(level) + 2}.{place}.{rest}"
        place = 0 if kind == "resnets" else 1
        key = f"{'in' if side == 'down' else 'out'}put_blocks.{block}.{place}.{rest}"
        return _renamed(key, _RESNET) if kind == "resnets" else key
    key = _renamed(key, _UNET)
    return _renamed(key, _RESNET) if re.match(r"middle_block\.[02]\.", key) else key


def _vae_key(key: str, levels: int) -> str:
    """A VAE tensor's single-file name; in a single file, decoder level 0 is nearest the image."""
    if match := re.match(r"decoder\.up_blocks\.(\d)\.(?:resnets|upsamplers\.0)\.", key):
        level = levels - 1 - int(match[1])
        part = "block." if "resnets" in match[0] else "upsample."
        key = f"decoder.up.{level}.{part}{key[match.end() :]}"
    return _renamed(key, _VAE)


def te2_key(key: str) -> str:
    """An OpenCLIP tensor's name, without prefix, from its name in transformers.

    OpenCLIP stacks q, k and v, in this order, in one tensor, and transposes the text projection.
    """
    return _renamed(key, _TE2)


def open_clip_tensors(encoder: nn.Module) -> dict[str, Tensor]:
    """The second text encoder's tensors under their single-file names: OpenCLIP's, with prefix."""
    state = encoder.state_dict()
    tensors: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = te2_key(key)
        if name == "text_projection":
            tensors[name] = tensor.T
        elif ".self_attn.q_proj." in key:
            tensors[name] = torch.cat(
                [state[key.replace(".q_proj.", f".{p}_proj.")] for p in "qkv"]
            )
        elif not re.search(r"\.self_attn\.[kv]_proj\.", key):
            tensors[name] = tensor
    return {TE2 + name: tensor for name, tensor in tensors.items()}


def unet_tensors(unet: nn.Module, without_attention: Container[int] = ()) -> dict[str, Tensor]:
    """The UNet's tensors under their single-file names, see ``unet_key``."""
    return {UNET + unet_key(key, without_attention): t for key, t in unet.state_dict().items()}


def clip_tensors(encoder: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Tensors of an OpenAI CLIP text encoder; they keep transformers' names."""
    return {
        prefix + key.removeprefix("text_model."): tensor
        for key, tensor in encoder.state_dict().items()
        if "position_ids" not in key
    }


def vae_tensors(vae: nn.Module) -> dict[str, Tensor]:
    """The VAE's tensors under their single-file names, attention matrices as 1x1 convolutions."""
    state = vae.state_dict()
    levels = len({key.split(".")[2] for key in state if key.startswith("decoder.up_blocks.")})
    tensors: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = _vae_key(key, levels)
        is_attention_matrix = ".mid.attn_1." in name and tensor.ndim == 2
        tensors[VAE + name] = tensor[:, :, None, None] if is_attention_matrix else tensor
    return tensors


def single_file_tensors(
    unet: nn.Module,
    te1: nn.Module,
    te2: nn.Module,
    vae: nn.Module,
    custom: CustomLayout = STANDARD,
) -> dict[str, Tensor]:
    """All tensors of a single-file SDXL checkpoint.

    UNet and VAE keep diffusers' names if ``custom`` has a layout for them.
    """
    text = clip_tensors(te1, TE1) | open_clip_tensors(te2)
    images = custom_tensors("vae", vae) if custom.vae else vae_tensors(vae)
    return (custom_tensors("unet", unet) if custom.unet else unet_tensors(unet)) | text | images


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str], dtype: torch.dtype
) -> None:
    """Write a single-file checkpoint, completely or not at all."""
    saved = {key: tensor.detach().to("cpu", dtype).contiguous() for key, tensor in tensors.items()}
    with whole_file(path) as partial:
        save_file(saved, partial, metadata={"format": "pt", **metadata})
