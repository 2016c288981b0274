"""Convert a LoRA to another rank, so that a run of that rank can start from it.

A network of rank R and alpha A computes up @ down * A / R. A LoRA of lower rank is padded with
directions that do nothing yet. One of higher rank is cut to its largest singular values, the best
approximation of that rank (Eckart and Young 1936). Equal rank and alpha keep the
factors bit for bit.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..checkpoints.header import read_header, read_metadata
from ..checkpoints.lora import check_lora
from ..errors import InputError, ModelError, PresetError
from ..files import whole_file
from .rules.network import DEFAULT_RANK, network_args, parse_number
from .run_settings import RunSettings

DOWN = ".lora_down.weight"


def write_starting_weights(
    source: Path, target: Path, settings: RunSettings, base: Path, mel_format: str | None
) -> Path:
    """Check that a LoRA fits a run, and write it at the run's rank; returns ``target``.

    ``mel_format`` names that of the run's images. ModelError if the file is no LoRA or of another
    base, InputError if its mel format differs from the dataset's, PresetError if it has
    layers that the run would leave out.
    """
    check_lora(source, base)
    theirs = read_metadata(source).get("dmm_format")
    if theirs and theirs != mel_format:
        raise InputError(
            f"{source}: makes {theirs!r} images, the dataset holds {mel_format!r} ones; build a "
            f"dataset with --format {theirs}, or start from another LoRA"
        )
    words = network_args(settings)
    conv_rank, conv_alpha = (parse_number(words.get(f"conv_{key}")) for key in ("dim", "alpha"))
    _refuse_to_leave_out(source, settings, has_convolutions=bool(conv_rank))
    write_at_rank(
        source, target, settings["network_dim"] or DEFAULT_RANK, float(settings["network_alpha"]),
        int(conv_rank) if conv_rank else None, conv_alpha or 1.0,
    )  # fmt: skip
    return target


def _refuse_to_leave_out(source: Path, settings: RunSettings, has_convolutions: bool) -> None:
    """PresetError for layers that the run's network lacks: the engine would silently drop them."""
    layers = {k: shape for k, shape in read_header(source).items() if k.endswith(DOWN)}
    text = any(key.startswith("lora_te") for key in layers)
    unet = any(key.startswith("lora_unet") for key in layers)
    convolutions = any(is_convolution(shape) for shape in layers.values())
    if text and settings["network_train_unet_only"]:
        what, remedy = "text encoder layers", "network_train_unet_only=false"
    elif unet and settings["network_train_text_encoder_only"]:
        what, remedy = "UNet layers", "network_train_text_encoder_only=false"
    elif convolutions and not has_convolutions:
        what, remedy = "convolutions", '"network_args=conv_dim=8 conv_alpha=8"'
    else:
        return
    raise PresetError(
        f"{source}: has {what}, which this run would leave out; train them too (--set {remedy}), "
        "or start from another LoRA"
    )


def is_convolution(shape: Sequence[int]) -> bool:
    """Whether a ``lora_down`` weight of this shape belongs to a 3 x 3 convolution."""
    return len(shape) == 4 and shape[-1] > 1


def write_at_rank(
    source: Path,
    target: Path,
    rank: int,
    alpha: float,
    conv_rank: int | None = None,
    conv_alpha: float = 1.0,
    seed: int = 0,
) -> None:
    """Write ``source`` to ``target`` at another rank; without ``conv_rank`` no 3 x 3 convolutions.

    ModelError if the file is no LoRA in sd-scripts' format.
    """
    tensors = _read_lora(source)
    names = sorted({key.split(".")[0] for key in tensors})
    generator = torch.Generator().manual_seed(seed)
    fitted: dict[str, Tensor] = {}
    for name in names:
        down, up = (tensors[f"{name}.lora_{part}.weight"] for part in ("down", "up"))
        is_conv = is_convolution(down.shape)
        size, scale = (conv_rank, conv_alpha) if is_conv else (rank, alpha)
        if size is None:
            continue
        old_alpha = float(tensors.get(f"{name}.alpha", torch.tensor(float(len(down)))))
        down, up = resize_factors(down, up, old_alpha, size, scale, generator)
        fitted |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        fitted[f"{name}.alpha"] = torch.tensor(float(scale))
    with whole_file(target) as partial:
        save_file({key: value.contiguous() for key, value in fitted.items()}, partial)


def resize_factors(
    down: Tensor, up: Tensor, old_alpha: float, rank: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``down`` (rank, in, ...) and ``up`` (out, rank, ...) of the same or the nearest change.

    The change is ``up @ down`` times alpha / rank.
    """
    old_rank = len(down)
    ratio = (old_alpha / old_rank) / (alpha / rank)
    if old_rank == rank:
        return down, up if ratio == 1 else (up.float() * ratio).to(up.dtype)
    flat_down, flat_up = down.flatten(1).float(), up.flatten(1).float() * ratio
    if rank < old_rank:
        flat_down, flat_up = _reduce_rank(flat_down, flat_up, rank)
    else:
        bound = flat_down.shape[1] ** -0.5  # as in a new layer
        fresh = torch.empty(rank - old_rank, flat_down.shape[1])
        flat_down = torch.cat([flat_down, fresh.uniform_(-bound, bound, generator=generator)])
        flat_up = torch.cat([flat_up, torch.zeros(len(flat_up), rank - old_rank)], dim=1)
    shape_down = (rank, *down.shape[1:])
    return flat_down.view(shape_down).to(down.dtype), flat_up.view(len(up), rank, *up.shape[2:]).to(
        up.dtype
    )


def _reduce_rank(down: Tensor, up: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best ``down`` and ``up`` of a lower rank, from QR factors: no full product is formed."""
    q_up, r_up = torch.linalg.qr(up)
    q_down, r_down = torch.linalg.qr(down.T)
    u, s, vh = torch.linalg.svd(r_up @ r_down.T)
    root = s[:rank].sqrt()
    return (root[:, None] * vh[:rank]) @ q_down.T, q_up @ (u[:, :rank] * root)


def _read_lora(source: Path) -> dict[str, Tensor]:
    """Tensors of a LoRA; ModelError if the file is none."""
    try:
        tensors = load_file(source)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{source}: not a readable LoRA ({error})") from error
    if not any(key.endswith(".lora_down.weight") for key in tensors):
        raise ModelError(f"{source}: holds no lora_down weights; name a LoRA in sd-scripts' format")
    return tensors
