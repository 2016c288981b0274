"""A LoRA to begin another run from, at whatever rank that run has.

A network of rank R and alpha A computes up @ down * A / R. A LoRA of lower rank is padded with
directions that do nothing yet; one of higher rank is cut to its largest singular values, the best
approximation of that rank (Eckart and Young 1936). Where rank and alpha stay, the bytes do too.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import ModelError
from ..files import whole_file


def fit_rank(
    source: Path,
    target: Path,
    rank: int,
    alpha: float,
    conv_rank: int | None = None,
    conv_alpha: float = 1.0,
    seed: int = 0,
) -> None:
    """Write ``source`` at another rank; 3 x 3 convolutions at ``conv_rank``, left out if None.

    ModelError if the file is no LoRA in sd-scripts' format.
    """
    tensors = _read(source)
    names = sorted({key.split(".")[0] for key in tensors})
    generator = torch.Generator().manual_seed(seed)
    fitted: dict[str, Tensor] = {}
    for name in names:
        down, up = (tensors[f"{name}.lora_{part}.weight"] for part in ("down", "up"))
        is_conv = down.ndim == 4 and down.shape[-1] > 1
        size, scale = (conv_rank, conv_alpha) if is_conv else (rank, alpha)
        if size is None:
            continue
        old_alpha = float(tensors.get(f"{name}.alpha", torch.tensor(float(len(down)))))
        down, up = resized(down, up, old_alpha, size, scale, generator)
        fitted |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        fitted[f"{name}.alpha"] = torch.tensor(float(scale))
    with whole_file(target) as partial:
        save_file({key: value.contiguous() for key, value in fitted.items()}, partial)


def resized(
    down: Tensor, up: Tensor, old_alpha: float, rank: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Factors (rank, in, ...) and (out, rank, ...) of the same product, or the nearest one."""
    old_rank = len(down)
    ratio = (old_alpha / old_rank) / (alpha / rank)
    if old_rank == rank:
        return down, up if ratio == 1 else (up.float() * ratio).to(up.dtype)
    flat_down, flat_up = down.flatten(1).float(), up.flatten(1).float() * ratio
    if rank < old_rank:
        flat_down, flat_up = _truncated(flat_down, flat_up, rank)
    else:
        bound = flat_down.shape[1] ** -0.5  # as a fresh layer begins
        fresh = torch.empty(rank - old_rank, flat_down.shape[1])
        flat_down = torch.cat([flat_down, fresh.uniform_(-bound, bound, generator=generator)])
        flat_up = torch.cat([flat_up, torch.zeros(len(flat_up), rank - old_rank)], dim=1)
    shape_down = (rank, *down.shape[1:])
    return flat_down.view(shape_down).to(down.dtype), flat_up.view(len(up), rank, *up.shape[2:]).to(
        up.dtype
    )


def _truncated(down: Tensor, up: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best factors of a lower rank, from QR factors: the full product is never formed."""
    q_up, r_up = torch.linalg.qr(up)
    q_down, r_down = torch.linalg.qr(down.T)
    u, s, vh = torch.linalg.svd(r_up @ r_down.T)
    root = s[:rank].sqrt()
    return (root[:, None] * vh[:rank]) @ q_down.T, q_up @ (u[:, :rank] * root)


def _read(source: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(source)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{source}: no LoRA to begin from ({error})") from error
    if not any(key.endswith(".lora_down.weight") for key in tensors):
        raise ModelError(f"{source}: holds no lora_down weights; name a LoRA in sd-scripts' format")
    return tensors
