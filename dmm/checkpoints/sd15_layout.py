"""Rename diffusers' tensors to those of a single-file SD 1.5 checkpoint."""

from torch import Tensor, nn

from .sd15_shapes import TE
from .sdxl_layout import clip_tensors, unet_tensors, vae_tensors


def single_file_tensors(unet: nn.Module, te: nn.Module, vae: nn.Module) -> dict[str, Tensor]:
    """All tensors of the three modules under their single-file SD 1.5 names."""
    return unet_tensors(unet, without_attention=(0,)) | clip_tensors(te, TE) | vae_tensors(vae)
