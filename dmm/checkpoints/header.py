"""Read tensor names, shapes and metadata from a safetensors header, without loading tensors."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..errors import ModelError
from ..model_cards import verify_against_card

Header = dict[str, list[int]]
"""Shapes by tensor name."""


def read_header(path: Path) -> Header:
    """Shapes of all tensors; ModelError for a missing, truncated or other file."""
    with _open_verified(path) as file:
        return {key: file.get_slice(key).get_shape() for key in file.keys()}


def read_metadata(path: Path) -> dict[str, str]:
    """Metadata of the header, empty if there is none; ModelError as in ``read_header``."""
    with _open_verified(path) as file:
        return file.metadata() or {}


def module_list_length(names: Iterable[str], prefix: str) -> int:
    """Number of different names that follow the prefix, up to a dot: the length of a module list.

    >>> module_list_length(["down.0.weight", "down.0.bias", "down.1.bias", "up.0.bias"], "down.")
    2
    """
    rests = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return len({rest.split(".")[0] for rest in rests})


def _open_verified(path: Path) -> Any:
    """Open a file; ModelError if it is incomplete or differs from the hash on its model card."""
    if path.is_dir():
        raise ModelError(f"{path}: a folder; name the one .safetensors file that holds the model")
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint or LoRA; check the path")
    if path.suffix.lower() != ".safetensors":  # by other names the engine unpickles a file
        raise ModelError(f"{path}: only .safetensors files are read; name one, or convert it")
    verify_against_card(path)
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a whole safetensors file ({error})") from error
