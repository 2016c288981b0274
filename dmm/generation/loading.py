"""A checkpoint with LoRAs on it, ready to draw on whatever there is: CPU, CUDA or Apple's GPU.

The VAE computes in full precision wherever it is: in half precision SDXL's overflows. LoRAs are
merged into the base where that loses nothing, in full precision; else they stay beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ..checkpoints.lora import check_lora
from ..checkpoints.pipeline import load_pipeline, quietly
from ..devices import DTYPES, Precision, pick_device, pick_precision
from ..errors import ModelError, PresetError

Offload = Literal["none", "model", "sequential"]


@dataclass(frozen=True)
class Lora:
    """A LoRA file and how strongly it counts."""

    path: Path
    weight: float = 1.0
    """1 is as it was trained, less than 0 the opposite."""

    def __post_init__(self) -> None:
        """PresetError for a weight that is no number."""
        if not math.isfinite(self.weight):
            raise PresetError(f"--lora {self.path}: {self.weight} is no weight; write FILE:0.5")

    @classmethod
    def parse(cls, text: str) -> "Lora":
        """A LoRA as one types it, ``FILE`` or ``FILE:WEIGHT``.

        >>> Lora.parse("box.safetensors:0.5").weight, Lora.parse("C:/box.safetensors").weight
        (0.5, 1.0)
        """
        file, _, weight = text.rpartition(":")
        try:
            return cls(Path(file), float(weight)) if file else cls(Path(text))
        except ValueError:
            return cls(Path(text))


def open_pipeline(
    model: Path,
    loras: Sequence[Lora] = (),
    device: str = "auto",
    precision: Precision = "auto",
    offload: Offload = "none",
) -> Any:
    """The checkpoint as a diffusers pipeline, LoRAs in place, in evaluation mode on its device.

    ``offload`` keeps on the card only the network that computes (``model``) or only the layer
    that does (``sequential``, slow). ModelError, in one line, for files that do not load or do
    not fit each other; PresetError for a device or precision that this machine does not have.
    """
    device = pick_device(device)
    dtype = DTYPES[pick_precision(precision, device)]
    for lora in loras:
        check_lora(lora.path, model)
    if offload != "none" and device == "cpu":
        raise PresetError(f"--offload {offload} spares a graphics card, and this runs on the CPU")
    pipeline = load_pipeline(model, dtype)
    pipeline.set_progress_bar_config(disable=True)
    _load_loras(pipeline, loras, merge=dtype == torch.float32)
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def _load_loras(pipeline: Any, loras: Sequence[Lora], merge: bool) -> None:
    names = [f"lora_{number}" for number in range(len(loras))]
    for lora, name in zip(loras, names, strict=True):
        folder, file = str(lora.path.parent), lora.path.name
        try:
            with quietly():
                pipeline.load_lora_weights(
                    folder, weight_name=file, adapter_name=name, local_files_only=True
                )
        except (KeyError, ValueError, RuntimeError, OSError) as error:
            reason = str(error).splitlines()[0][:200]
            raise ModelError(
                f"{lora.path}: does not load as a LoRA for this model ({reason})"
            ) from error
    if loras:
        pipeline.set_adapters(names, [lora.weight for lora in loras])
    if loras and merge:
        pipeline.fuse_lora(adapter_names=names)
        pipeline.unload_lora_weights()
