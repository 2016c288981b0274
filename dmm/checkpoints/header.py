"""What a safetensors header says of a model: names, sizes and metadata. No tensor is loaded."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..cards import verify_card
from ..errors import ModelError

Header = dict[str, list[int]]
"""Tensor name to shape."""


def read_header(path: Path) -> Header:
    """Every tensor's shape; ModelError for a file that is missing, cut off or of another format."""
    with _opened(path) as file:
        return {key: file.get_slice(key).get_shape() for key in file.keys()}


def read_metadata(path: Path) -> dict[str, str]:
    """The free text in the header, empty if there is none; ModelError as ``read_header``."""
    with _opened(path) as file:
        return file.metadata() or {}


def count(names: Iterable[str], prefix: str) -> int:
    """How many different words follow the prefix, up to a dot: the length of a module list.

    >>> count(["down.0.weight", "down.0.bias", "down.1.weight", "up.0.weight"], "down.")
    2
    """
    rests = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return len({rest.split(".")[0] for rest in rests})


def _opened(path: Path) -> Any:
    """The file with its header read, if it is whole and the one that the card beside it names."""
    if path.is_dir():
        raise ModelError(f"{path}: a folder; name the one .safetensors file that holds the model")
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint or LoRA; check the path")
    verify_card(path)
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise ModelError(f"{path}: not a whole safetensors file ({error})") from error
