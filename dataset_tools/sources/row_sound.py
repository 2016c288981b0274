"""Find the sound of a row in a Hugging Face dataset: bytes, a path, or a URL."""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dmm.errors import DmmError, InputError
from dmm.files import whole_file
from dmm.files.paths import stays_inside

from . import Stream
from .files import checked_file_sha256, make_file_stream, stream_file
from .parquet import parquet_sound_bytes

Values = dict[str, Any]


@dataclass(frozen=True)
class SourceRow:
    """One row of a Hugging Face dataset, and where it is stored."""

    name: str
    """Name of the row in refusals."""
    values: Values
    parquet: Path | None = None
    """The Parquet file that holds it; None for other datasets."""
    number: int = 0
    """Number of the row in that file."""


class UnusableRow(Exception):
    """A row cannot be used; the message is the reason and begins with its kind."""


def find_row_sound(row: SourceRow, column: str, root: Path | None) -> tuple[str, str, Stream]:
    """Name of a row's sound, SHA-256 of its bytes, and a function to read it; else UnusableRow."""
    data, name = _data_and_name(row.values[column])
    title = Path(name).name if name else row.name
    if data is None and name is None:
        raise UnusableRow("no sound: neither bytes nor path")
    if data is None and (path := _local_path(name or "", row, root)):
        try:
            return title, checked_file_sha256(path, _row_folder(row, root)), make_file_stream(path)
        except InputError as error:
            raise UnusableRow(str(error)) from error
    data = _download(name or "") if data is None else data
    if not data:
        raise UnusableRow("empty file: 0 bytes")
    sha256 = hashlib.sha256(data).hexdigest()
    if row.parquet:
        return title, sha256, partial(stream_row, row.parquet, row.number, column)
    return title, sha256, make_file_stream(_store_in_cache(data, sha256))


def _data_and_name(value: Any) -> tuple[bytes | None, str | None]:
    """Bytes and path in a cell; None for a missing one."""
    if isinstance(value, dict):
        return value.get("bytes"), value.get("path")
    return (value, None) if isinstance(value, bytes) else (None, value)


def _row_folder(row: SourceRow, root: Path | None) -> Path:
    folder = row.parquet.parent if row.parquet else root
    assert folder is not None
    return folder


def _local_path(name: str, row: SourceRow, root: Path | None) -> Path | None:
    """Path of the file that a row names; None for a URL; UnusableRow if missing or outside."""
    if "://" in name:
        return None
    folder = _row_folder(row, root)
    path = folder / name
    if not stays_inside(path, folder):
        raise UnusableRow("path leaves the folder: sound must lie below the dataset")
    if not path.exists():
        raise UnusableRow(f"no audio: expected {name}")
    return path


def _download(url: str) -> bytes:
    """Download the bytes at a URL; DmmError if it cannot be read."""
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            return file.read()  # pyright: ignore[reportAttributeAccessIssue]
    except OSError as error:
        raise DmmError(f"{url} cannot be read ({error}); run again to go on") from error


def _store_in_cache(data: bytes, sha256: str) -> Path:
    """Store streamed sound in the cache folder of the ``datasets`` library."""
    from datasets.config import HF_DATASETS_CACHE

    path = Path(HF_DATASETS_CACHE) / "dmm" / sha256[:2] / sha256
    if not path.exists():
        with whole_file(path) as part:
            part.write_bytes(data)
    return path


def stream_row(path: Path, row: int, column: str, sr: int, channels: int) -> Iterator[np.ndarray]:
    """Yield the sound in a row of a Parquet file in blocks, by way of a temporary file."""
    with tempfile.TemporaryDirectory(prefix="dmm-") as folder:
        sound = Path(folder, "sound")
        sound.write_bytes(parquet_sound_bytes(path, row, column))
        yield from stream_file(sound, sr, channels)
