"""Add LoRAs to the weights of their base: one single-file checkpoint, written as it is read.

W + ratio · (alpha / rank) · up @ down in single precision for every layer that a LoRA holds, like
networks/sdxl_merge_lora.py of sd-scripts; every other tensor is copied. Memory holds the LoRAs and
the tensor at hand, never a model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.architecture import read_architecture
from ..checkpoints.lora_layers import Place, lora_layers
from ..checkpoints.tensorfile import Spec, TensorFile, in_order, open_tensors, write_tensors
from ..errors import ModelError
from ..files import refuse_same
from ..generation.loading import Lora, LoraArgument, as_loras
from ..progress import progress_bar
from .precision import dtype_of
from .provenance import fused_metadata
from .weights import Factors, read_factors


@dataclass(frozen=True)
class _Change:
    place: Place
    factors: Factors
    ratio: float


def fuse(
    base: str | Path,
    lora: LoraArgument | Sequence[LoraArgument],
    out: str | Path,
    precision: str | None = None,
) -> None:
    """Write ``base`` with the LoRAs added to ``out``; ``precision`` None keeps every tensor's own.

    ModelError for a LoRA of another base or kind and for a weight that the precision cannot hold.
    """
    base, loras, out = Path(base), as_loras(lora), Path(out)
    if not loras:
        raise ValueError("name a LoRA to fuse")
    dtype = dtype_of(precision)
    refuse_same(out, base, *(lora.path for lora in loras))
    changes = _changes(base, loras)
    metadata = fused_metadata(base, loras, out.stem)
    with open_tensors(base) as source, progress_bar("fuse", len(source.specs)) as advance:
        specs = _wanted(source.specs, dtype)

        def tensors() -> Iterator[tuple[str, Tensor]]:
            for name, spec in specs.items():
                yield name, _fused(source, name, spec, changes.get(name, []))
                advance()

        write_tensors(out, specs, tensors(), metadata)


def _changes(base: Path, loras: Sequence[Lora]) -> dict[str, list[_Change]]:
    """What is to be added to which tensor of the base."""
    layers = lora_layers(read_architecture(base))
    changes: dict[str, list[_Change]] = {}
    for lora in loras:
        for layer, factors in read_factors(lora.path, base).items():
            place = layers[layer]
            changes.setdefault(place.tensor, []).append(_Change(place, factors, lora.weight))
    return changes


def _wanted(specs: dict[str, Spec], dtype: torch.dtype | None) -> dict[str, Spec]:
    """The base's tensors, those of floating point in the type asked for."""
    converted = {
        name: replace(spec, dtype=dtype) if dtype and spec.dtype.is_floating_point else spec
        for name, spec in specs.items()
    }
    return in_order(converted)


def _fused(source: TensorFile, name: str, wanted: Spec, changes: Sequence[_Change]) -> Tensor:
    tensor = source.read(name)
    if not changes and tensor.dtype == wanted.dtype:
        return tensor
    whole = tensor.float() if changes else tensor
    for change in changes:
        change.place.of(whole).add_(change.factors.delta(change.ratio))
    written = whole.to(wanted.dtype)
    if not written.isfinite().all() and whole.isfinite().all():
        raise ModelError(
            f"{source.file.name}: {name} reaches {whole.abs().max():.3g}, beyond half precision; "
            "fuse with --precision bf16 or fp32"
        )
    return written
