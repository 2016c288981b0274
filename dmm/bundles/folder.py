"""Read a bundle's description and check its files."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ModelError
from ..files import read_json
from ..model_cards import sha256_of
from .schema import FILE, VERSION, Bundle, StoredFile


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle's description and check that every file is present and unaltered.

    ModelError, in one line, for a missing or altered file, or a bundle of a newer version.
    """
    bundle = read_description(folder)
    for file in bundle.files():
        check_file(folder, file)
    return bundle


def read_description(folder: Path) -> Bundle:
    """``bundle.json``; ModelError, in one line, if it is missing, damaged or newer."""
    path = folder / FILE
    if not path.is_file():
        raise ModelError(f"{folder}: no bundle (no {FILE}); make one with dmm export")
    found: dict[str, Any] = read_json(path, error=ModelError)
    version = found.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ModelError(f"{path}: bundle version {version}, known up to {VERSION}; update dmm")
    try:
        return Bundle.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise ModelError(f"{path}: {where}: {first['msg']}; copy or export it again") from error


def check_file(folder: Path, file: StoredFile) -> None:
    """ModelError, in one line, if a file is missing, or its size or hash is not as described."""
    path = folder / file.file
    if not path.is_file():
        raise ModelError(f"{path}: missing; copy the whole bundle again")
    size = path.stat().st_size
    if size != file.bytes:
        raise ModelError(f"{path}: {size:,} bytes, not {file.bytes:,}; copy it again")
    if sha256_of(path) != file.sha256:
        raise ModelError(f"{path}: altered (another sha256); copy it again")
