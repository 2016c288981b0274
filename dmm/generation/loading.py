"""Load a checkpoint with LoRAs as a diffusers pipeline on a CPU, CUDA or Apple's GPU.

The VAE always computes in full precision: SDXL's overflows in half precision. LoRAs are merged
into the base in full precision, where that loses nothing, and stay separate in half precision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checkpoints.lora import check_lora
from ..choices import Offload, Precision
from ..errors import ModelError, PresetError


@dataclass(frozen=True)
class Lora:
    """A LoRA file and its weight."""

    path: Path
    weight: float = 1.0
    """1 is the strength it was trained with; negative values reverse it."""

    def __post_init__(self) -> None:
        """PresetError for a weight that is not finite."""
        if not math.isfinite(self.weight):
            raise PresetError(f"--lora {self.path}: {self.weight} is no weight; write FILE:0.5")

    @classmethod
    def parse(cls, text: str) -> "Lora":
        """Parse ``FILE`` or ``FILE:WEIGHT``.

        >>> Lora.parse("box.safetensors:0.5").weight, Lora.parse("C:/box.safetensors").weight
        (0.5, 1.0)
        """
        file, _, weight = text.rpartition(":")
        try:
            return cls(Path(file), float(weight)) if file else cls(Path(text))
        except ValueError:
            return cls(Path(text))


LoraArgument = str | Path | Lora
"""``FILE``, ``FILE:WEIGHT`` or a ``Lora``."""


def as_loras(arguments: LoraArgument | Sequence[LoraArgument]) -> tuple[Lora, ...]:
    """One LoRA or several, in any of the forms that ``LoraArgument`` allows.

    >>> [lora.weight for lora in as_loras(["a.safetensors:0.5", Path("b.safetensors")])]
    [0.5, 1.0]
    """
    several = [arguments] if isinstance(arguments, str | Path | Lora) else arguments
    return tuple(x if isinstance(x, Lora) else Lora.parse(str(x)) for x in several)


def open_pipeline(
    model: Path,
    loras: Sequence[Lora] = (),
    device: str = "auto",
    precision: Precision = "auto",
    offload: Offload = "none",
) -> Any:
    """Load a checkpoint with its LoRAs as a diffusers pipeline, in evaluation mode on the device.

    ``offload`` keeps only the running network (``model``) or layer (``sequential``, slow) in GPU
    memory. ModelError for files that do not load or do not fit each other; PresetError for a device
    or precision that this machine lacks.
    """
    from ..checkpoints.pipeline import load_pipeline
    from ..devices import DTYPES, pick_device, pick_precision

    device = pick_device(device)
    dtype = DTYPES[pick_precision(precision, device)]
    for lora in loras:
        check_lora(lora.path, model)
    if offload != "none" and device == "cpu":
        raise PresetError(f"--offload {offload} saves GPU memory, but this runs on the CPU")
    pipeline = load_pipeline(model, dtype)
    pipeline.set_progress_bar_config(disable=True)
    _load_loras(pipeline, loras, merge=dtype == DTYPES["fp32"])
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def _load_loras(pipeline: Any, loras: Sequence[Lora], merge: bool) -> None:
    """Load LoRAs into a pipeline; ModelError if one does not fit."""
    from ..checkpoints.pipeline import without_diffusers_messages

    names = [f"lora_{number}" for number in range(len(loras))]
    for lora, name in zip(loras, names, strict=True):
        folder, file = str(lora.path.parent), lora.path.name
        try:
            with without_diffusers_messages():
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
