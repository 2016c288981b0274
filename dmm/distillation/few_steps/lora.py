"""Train a LoRA instead of all weights, and write it for any model of the same base."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ...checkpoints.lora_layers import lora_layers
from ...files import whole_file
from ...fusing.provenance import lora_metadata
from ..teacher import Teacher

LINEAR = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "time_emb_proj")
ADAPTER = "steps"


def add_lora(unet: Any, rank: int) -> Any:
    """Add a trainable LoRA to attention, feed-forward and ResNet layers; freeze all else."""
    from peft import LoraConfig

    unet.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=[*LINEAR, *CONVOLUTIONS])
    unet.add_adapter(config, adapter_name=ADAPTER)
    return unet


def write_lora(
    out: Path, unet: Any, teacher: Teacher, rank: int, metadata: Mapping[str, str]
) -> None:
    """Write the LoRA under sd-scripts' names, in half precision, completely or not at all."""
    known = lora_layers(teacher.shapes)
    tensors: dict[str, torch.Tensor] = {}
    for name, module in unet.named_modules():
        if not hasattr(module, "lora_A") or ADAPTER not in module.lora_A:
            continue
        layer = "lora_unet_" + name.replace(".", "_")
        assert layer in known, layer
        tensors[f"{layer}.lora_down.weight"] = module.lora_A[ADAPTER].weight
        tensors[f"{layer}.lora_up.weight"] = module.lora_B[ADAPTER].weight
        tensors[f"{layer}.alpha"] = torch.tensor(float(rank))
    saved = {key: tensor.detach().cpu().half().contiguous() for key, tensor in tensors.items()}
    described = lora_metadata(teacher.checkpoint, teacher.shapes, out.stem, rank) | dict(metadata)
    with whole_file(out) as partial:
        save_file(saved, partial, metadata=described)
