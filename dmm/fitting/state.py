"""State file of a training run: saved completely, loaded only by a run with equal settings."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..files import whole_file


def fingerprint(*things: Tensor | nn.Module | str) -> str:
    """SHA-256 over names, types, shapes and values; equal on every device."""
    digest = hashlib.sha256()
    for thing in things:
        if isinstance(thing, str):
            digest.update(thing.encode())
            continue
        tensors = thing.state_dict() if isinstance(thing, nn.Module) else {"": thing}
        for name, tensor in tensors.items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            flat = tensor.detach().cpu().contiguous().flatten()
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_state(
    path: Path,
    settings: dict[str, Any],
    step: int,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Save everything that a run needs to continue after ``step`` steps."""
    # torch writes a path by C++, which does not say why a write failed
    with whole_file(path) as partial, partial.open("wb") as file:
        torch.save(
            {
                "settings": settings,
                "step": step,
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
            },
            file,
        )


def load_state(
    path: Path,
    settings: dict[str, Any],
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> int:
    """Load a state into model, average and optimizer; returns the steps done, 0 without a file.

    InputError if the file is damaged, or if its run had other settings.
    """
    if not path.is_file():
        return 0
    remedy = "remove it to start again, or name another output"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved = state["settings"]
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: damaged, or no training state of this version; {remedy}"
        ) from error
    if saved != settings:
        raise InputError(
            f"{path}: state of another run ({_describe_differences(saved, settings)}); {remedy}"
        )
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def _describe_differences(saved: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The settings that differ, with both values unless they are hashes."""
    texts = []
    for name in sorted(saved.keys() | wanted.keys()):
        there, here = saved.get(name), wanted.get(name)
        if there != here:
            is_hash = isinstance(there, str) and len(there) == 64
            texts.append(f"other {name}" if is_hash else f"{name} {there} there, {here} here")
    return "; ".join(texts)
