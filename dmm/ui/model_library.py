"""The checkpoints and LoRAs that the page offers; a browser can name no others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.architecture import read_architecture
from ..checkpoints.header import read_header, read_metadata
from ..checkpoints.lora import check_lora
from ..errors import ModelError

PLACES = (Path("models"), Path("runs"))
"""Folders to search by default."""


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file; format and anchor are empty if its metadata lack them."""

    path: Path
    label: str
    """Name shown to the user."""
    format: str
    anchor: str


@dataclass(frozen=True)
class Model:
    """A checkpoint; format and anchor are empty if its metadata lack them."""

    path: Path
    label: str
    format: str
    anchor: str
    kind: str
    """SDXL or SD 1.5."""
    loras: tuple[str, ...]
    """LoRAs that fit it, as keys of ``ModelLibrary.loras``."""


@dataclass(frozen=True)
class ModelLibrary:
    """The checkpoints and LoRAs found, by path."""

    models: dict[str, Model]
    loras: dict[str, LoraFile]


def find_models(places: Iterable[Path]) -> ModelLibrary:
    """All checkpoints and LoRAs in files and folders; ModelError if there is no checkpoint.

    Other files are skipped in folders; ModelError if they are named themselves.
    """
    places = list(places)
    bases: dict[str, tuple[Path, str, str]] = {}
    loras: dict[str, LoraFile] = {}
    for path, label, is_named in _labelled_model_files(places):
        try:
            if any(".lora_" in name for name in read_header(path)):
                loras[path.as_posix()] = LoraFile(path, label, *_format_and_anchor(path))
            else:
                bases[path.as_posix()] = path, label, read_architecture(path).name
        except ModelError:
            if is_named:
                raise
    if not bases:
        looked = ", ".join(map(str, places)) or "no folder"
        raise ModelError(f"no SD 1.5 or SDXL checkpoint in {looked}; name one or its folder")
    models = {
        name: Model(
            path, label, *_format_and_anchor(path), kind, _names_of_fitting_loras(loras, path)
        )
        for name, (path, label, kind) in bases.items()
    }
    return ModelLibrary(models, loras)


def _labelled_model_files(places: Iterable[Path]) -> Iterator[tuple[Path, str, bool]]:
    """Model files, their labels, and whether each was named itself.

    States of training runs and hidden files are skipped.
    """
    for place in places:
        if not place.is_dir():
            yield place, place.stem, True
            continue
        for path in sorted(place.rglob("*.safetensors")):
            inside = path.relative_to(place)
            if "state" not in inside.parts and not any(p.startswith(".") for p in inside.parts):
                yield path, inside.with_suffix("").as_posix(), False


def _format_and_anchor(path: Path) -> tuple[str, str]:
    metadata = read_metadata(path)
    return metadata.get("dmm_format", ""), metadata.get("dmm_anchor", "")


def _names_of_fitting_loras(loras: dict[str, LoraFile], model: Path) -> tuple[str, ...]:
    return tuple(name for name, lora in loras.items() if _lora_fits(lora.path, model))


def _lora_fits(lora: Path, model: Path) -> bool:
    try:
        check_lora(lora, model)
    except ModelError:
        return False
    return True
