"""Extract a LoRA from two checkpoints: the difference that was trained or fused into the second.

The difference of each layer that sd-scripts trains is reduced to its strongest directions
(``low_rank.py``). Both files are read one tensor at a time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.architecture import read_architecture
from ..checkpoints.lora_layers import LayerLocation, trained_layers
from ..checkpoints.tensorfile import (
    TensorFile,
    TensorSpec,
    main_dtype,
    open_tensors,
    sorted_for_alignment,
    write_tensors,
)
from ..errors import ModelError
from ..files import refuse_overwriting_input
from ..progress import progress_bar
from .low_rank import best_factors
from .precision import dtype_of
from .provenance import extracted_metadata
from .weights import Factors


@dataclass(frozen=True)
class Ranks:
    """Ranks of an extracted LoRA."""

    matrix_rank: int
    """Rank of linear layers and 1×1 convolutions, 1 or more."""
    kernel_rank: int
    """Rank of larger convolutions; 0 skips them."""

    def of(self, size: tuple[int, ...]) -> int:
        """Rank for a weight of this size, at most its full rank; 0 skips the layer."""
        wanted = self.kernel_rank if math.prod(size[2:]) > 1 else self.matrix_rank
        return min(wanted, size[0], math.prod(size[1:]))


@dataclass(frozen=True)
class ExtractedLayer:
    """Rank of one extracted layer, and the share of its change that the LoRA keeps."""

    name: str
    rank: int
    change: float
    """Sum of squares of the difference."""
    energy: float
    """Share of ``change`` that is kept, 0..1."""


@dataclass
class Extraction:
    """Extracted layers, and the names of changed tensors that are not in the LoRA."""

    layers: list[ExtractedLayer] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Changed tensors that no LoRA layer covers (biases, norms, embeddings, the VAE), and larger
    convolutions if ``kernel_rank`` is 0."""

    @property
    def energy(self) -> float:
        """Share of the extracted layers' squared change that is kept, 0..1."""
        kept = sum(layer.change * layer.energy for layer in self.layers)
        return kept / sum(layer.change for layer in self.layers)


def extract_lora(
    base: Path, fused: Path, out: Path, ranks: Ranks, precision: str | None = None
) -> Extraction:
    """Write the LoRA that turns ``base`` into ``fused`` as closely as the ranks allow.

    ``precision`` None means that of ``fused``. ModelError for checkpoints of different sizes, for
    weights that are not finite, and if no layer of a LoRA differs. PresetError for an unknown
    precision, ValueError for impossible ranks, InputError if ``out`` is one of the checkpoints.
    """
    if ranks.matrix_rank < 1 or ranks.kernel_rank < 0:
        raise ValueError(f"a rank is 1 or more, of kernels 0 or more; got {ranks}")
    refuse_overwriting_input(out, base, fused)
    layers = _layers_by_tensor(base, fused)
    found, tensors = Extraction(), {}
    with open_tensors(base) as before, open_tensors(fused) as after:
        dtype = dtype_of(precision) or main_dtype(after)
        for name, old, new in _changed(before, after):
            held = {layer: p for layer, p in layers.get(name, {}).items() if ranks.of(p.size)}
            if not held:
                found.left_out.append(name)
            for layer, location in held.items():
                delta = location.weight_view(new).float() - location.weight_view(old).float()
                change = float(delta.square().sum(dtype=torch.float64))
                if not math.isfinite(change):
                    raise ModelError(
                        f"{fused}: {name} is not finite there or in {base}; name other files"
                    )
                if change == 0:  # of q, k and v in one tensor, not all may differ
                    continue
                factors, kept = best_factors(delta, ranks.of(location.size))
                found.layers.append(
                    ExtractedLayer(layer, len(factors.down), change, min(kept / change, 1.0))
                )
                tensors |= _lora_tensors(layer, factors, dtype)
    if not found.layers:
        raise ModelError(f"{fused}: no layer differs from {base}; there is nothing to extract")
    specs = sorted_for_alignment(
        {name: TensorSpec(t.dtype, tuple(t.shape)) for name, t in tensors.items()}
    )
    metadata = extracted_metadata(base, fused, out.stem, ranks.matrix_rank, ranks.kernel_rank)
    write_tensors(out, specs, ((name, tensors[name]) for name in specs), metadata)
    return found


def _layers_by_tensor(base: Path, fused: Path) -> dict[str, dict[str, LayerLocation]]:
    """Layers in each tensor, by tensor and layer name; ModelError if the sizes differ."""
    shapes, others = read_architecture(base), read_architecture(fused)
    if shapes != others:
        raise ModelError(
            f"{fused}: {others.name}, not of the sizes of {base}, which is {shapes.name}; "
            "name the checkpoint that it was made from"
        )
    layers: dict[str, dict[str, LayerLocation]] = {}
    for layer, location in trained_layers(shapes).items():
        layers.setdefault(location.tensor, {})[layer] = location
    return layers


def _changed(before: TensorFile, after: TensorFile) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield (name, old, new) of common tensors that differ at the second file's precision."""
    with progress_bar("unfuse", len(before.specs)) as advance:
        for name in before.specs:
            if name in after.specs:
                old, new = before.read(name), after.read(name)
                if not torch.equal(old.to(new.dtype), new):
                    yield name, old, new
            advance()


def _lora_tensors(layer: str, factors: Factors, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of one layer, by sd-scripts' names."""
    rank = len(factors.down)
    return {
        f"{layer}.lora_down.weight": factors.down.to(dtype),
        f"{layer}.lora_up.weight": factors.up.to(dtype),
        f"{layer}.alpha": torch.tensor(float(rank), dtype=dtype),
    }
