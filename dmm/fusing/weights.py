"""Read a LoRA of sd-scripts as low-rank factors of each layer."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.lora import check_lora
from ..checkpoints.tensorfile import open_tensors
from ..errors import ModelError

KINDS = {
    ".hada_": "a LoHa",
    ".lokr_": "a LoKr",
    ".dora_scale": "a DoRA",
    ".lora_magnitude_vector": "a DoRA",
    ".lora_mid": "a LoCon with a Tucker core",
    ".oft_": "an OFT",
    ".a1.weight": "a GLoRA",
    ".on_input": "an IA3",
    ".diff": "one of whole differences",
    ".lora_A": "a LoRA in diffusers' layout",
    ".lora.down": "a LoRA in diffusers' layout",
}
"""Part of a tensor's name, and the kind of adapter that has it."""


@dataclass(frozen=True)
class Factors:
    """Factors of one layer's change: (alpha / rank) · up @ down."""

    up: Tensor  # (out, rank), or (out, rank, 1, 1) for a convolution
    down: Tensor  # (rank, in), or (rank, in, rows, columns)
    scale: float
    """alpha / rank."""

    def delta(self, ratio: float = 1.0) -> Tensor:
        """``ratio`` times the change, in the weight's shape and single precision.

        Multiplied in sd-scripts' order, so that it equals sd-scripts' merge bit for bit.
        """
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return ratio * product.reshape(len(self.up), *self.down.shape[1:]) * self.scale


def read_factors(lora: Path, base: Path) -> dict[str, Factors]:
    """Read all factors; ModelError for another kind of adapter, another base or a broken file."""
    with open_tensors(lora) as file:
        for part, kind in KINDS.items():
            if any(part in name for name in file.specs):
                raise ModelError(
                    f"{lora}: {kind}, which is not fused here; name a LoRA of sd-scripts"
                    " (lora_down, lora_up, alpha)"
                )
        check_lora(lora, base)
        tensors = {name: file.read(name) for name in file.specs}
    layers = dict.fromkeys(name.split(".")[0] for name in tensors)
    return {layer: _layer_factors(lora, layer, tensors) for layer in layers}


def _layer_factors(lora: Path, layer: str, tensors: dict[str, Tensor]) -> Factors:
    """Factors and scale of one layer; alpha defaults to the rank.

    ModelError if a matrix is missing, does not fit or is not finite.
    """
    try:
        up, down = tensors[f"{layer}.lora_up.weight"], tensors[f"{layer}.lora_down.weight"]
    except KeyError as error:
        raise ModelError(f"{lora}: no tensor {error}; the file is not a whole LoRA") from error
    rank = len(down) if down.ndim > 1 else 0
    if not rank:
        raise ModelError(
            f"{lora}: {layer}.lora_down has shape {tuple(down.shape)}: rank 1 or more is needed"
        )
    if up.ndim < 2 or up.shape[1] != rank or up.shape[2:].numel() != 1:
        raise ModelError(
            f"{lora}: {layer}.lora_up has shape {tuple(up.shape)}, wrong for rank {rank}"
        )
    alpha = tensors.get(f"{layer}.alpha", torch.tensor(rank))
    if alpha.numel() != 1:
        raise ModelError(f"{lora}: {layer} has {alpha.numel()} values of alpha; one is needed")
    scale = float(alpha) / rank
    factors = Factors(up, down, scale)
    if not all(tensor.isfinite().all() for tensor in (up, down, torch.tensor(scale))):
        raise ModelError(f"{lora}: {layer} is not finite; take an earlier LoRA of the run")
    return factors
