"""Add LoRAs to the weights of their base: one single-file checkpoint, written tensor by tensor.

W + ratio · (alpha / rank) · up @ down in single precision for every layer of a LoRA, like
networks/sdxl_merge_lora.py of sd-scripts; other tensors are copied. Memory holds the LoRAs and one
tensor, never the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.architecture import read_architecture
from ..checkpoints.lora_layers import LayerLocation, lora_layers
from ..checkpoints.tensorfile import (
    TensorFile,
    TensorSpec,
    open_tensors,
    sorted_for_alignment,
    write_tensors,
)
from ..errors import ModelError
from ..files import refuse_overwriting_input
from ..generation.loading import Lora, LoraArgument, as_loras
from ..progress import progress_bar
from .precision import dtype_of
from .provenance import fused_metadata
from .weights import Factors, read_factors


@dataclass(frozen=True)
class Change:
    """The part of a LoRA that is added to one tensor."""

    location: LayerLocation
    factors: Factors
    ratio: float


def fuse(
    base: str | Path,
    lora: LoraArgument | Sequence[LoraArgument],
    out: str | Path,
    precision: str | None = None,
) -> None:
    """Write ``base`` with the LoRAs added to ``out``; ``precision`` None keeps every tensor's own.

    ModelError for a base with NaN, for a LoRA of another base or kind, and for a weight that the
    precision cannot hold, PresetError for an unknown precision, InputError if ``out`` is one of the
    inputs, ValueError without a LoRA.
    """
    base, loras, out = Path(base), as_loras(lora), Path(out)
    if not loras:
        raise ValueError("name a LoRA to fuse")
    dtype = dtype_of(precision)
    refuse_overwriting_input(out, base, *(lora.path for lora in loras))
    changes = lora_changes(base, loras)
    metadata = fused_metadata(base, loras, out.stem)
    with open_tensors(base) as source, progress_bar("fuse", len(source.specs)) as advance:
        specs = _output_specs(source.specs, dtype)

        def tensors() -> Iterator[tuple[str, Tensor]]:
            for name, spec in specs.items():
                yield name, _fuse_tensor(source, name, spec, changes.get(name, []))
                advance()

        write_tensors(out, specs, tensors(), metadata)


def lora_changes(base: Path, loras: Sequence[Lora]) -> dict[str, list[Change]]:
    """Changes to each tensor of the base, by tensor name."""
    layers = lora_layers(read_architecture(base))
    changes: dict[str, list[Change]] = {}
    for lora in loras:
        for layer, factors in read_factors(lora.path, base).items():
            location = layers[layer]
            changes.setdefault(location.tensor, []).append(Change(location, factors, lora.weight))
    return changes


def _output_specs(specs: dict[str, TensorSpec], dtype: torch.dtype | None) -> dict[str, TensorSpec]:
    """Output types and shapes: the base's, with floating-point tensors converted to ``dtype``."""
    converted = {
        name: replace(spec, dtype=dtype) if dtype and spec.dtype.is_floating_point else spec
        for name, spec in specs.items()
    }
    return sorted_for_alignment(converted)


def _fuse_tensor(
    source: TensorFile, name: str, wanted: TensorSpec, changes: Sequence[Change]
) -> Tensor:
    """A base tensor with its changes, in the output's type; ModelError if it overflows."""
    tensor = source.read(name)
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise ModelError(f"{source.file.name}: {name} holds NaN or infinity; name another base")
    if not changes and tensor.dtype == wanted.dtype:
        return tensor
    whole = tensor.float() if changes else tensor
    for change in changes:
        change.location.weight_view(whole).add_(change.factors.delta(change.ratio))
    written = whole.to(wanted.dtype)
    if not written.isfinite().all() and whole.isfinite().all():
        raise ModelError(
            f"{source.file.name}: {name} reaches {whole.abs().max():.3g}, beyond half precision; "
            "fuse with --precision bf16 or fp32"
        )
    return written
