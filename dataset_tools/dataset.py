"""Read a built dataset: ``dataset.json`` and the rows of the manifest."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dmm.codec.mel import MelFormat
from dmm.errors import InputError

from .manifest_schema import SCHEMA

Row = dict[str, Any]
"""One clip of the manifest: column name to value."""


@dataclass(frozen=True)
class Dataset:
    """A dataset folder whose build is complete."""

    folder: Path
    built: dict[str, Any]
    """Content of ``dataset.json``."""
    fmt: MelFormat
    rows: list[Row]

    @property
    def anchor(self) -> str:
        """The words before every caption."""
        return str(self.built["options"]["anchor"])

    def anchor_for_split(self, split: str) -> str:
        """The words before a split's captions: class words for ``reg``, if the options name any."""
        words = self.built["options"].get("class_words") if split == "reg" else None
        return (self.anchor if words is None else words).strip()


def read_built(folder: Path) -> tuple[dict[str, Any], MelFormat]:
    """Read ``dataset.json`` and the mel format in it; InputError if it is missing or damaged."""
    path = folder / "dataset.json"
    if not path.is_file():
        raise InputError(f"{folder} is no finished dataset; run `dmm data build` (again) first")
    try:
        built = json.loads(path.read_text("utf-8"))
        assert isinstance(built["options"]["anchor"], str)
        return built, MelFormat(**built["format"])
    except (ValueError, KeyError, TypeError, AssertionError, ValidationError) as error:
        raise InputError(f"{path}: damaged; build the dataset again") from error


def read_manifest(folder: Path) -> tuple[list[Row], list[str]]:
    """Read the manifest's rows, and list the columns that are missing or of another type.

    InputError if the file is missing or is no Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "manifest.parquet"
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; build the dataset again") from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: damaged; build the dataset again") from error
    return table.to_pylist(), [
        f"no column {column.name!r}"
        if column.name not in table.column_names
        else f"column {column.name!r} holds {table.schema.field(column.name).type}"
        for column in SCHEMA
        if column.name not in table.column_names
        or table.schema.field(column.name).type != column.type
    ]


def content_sha256(rows: Sequence[Row]) -> str:
    """Hash all clips: their ids, splits, captions and images."""
    lines = sorted(json.dumps([r["id"], r["split"], r["caption"], r["sha256"]]) for r in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_dataset(folder: Path) -> Dataset:
    """Read a complete dataset; InputError if a part is missing, damaged, or of another version."""
    built, fmt = read_built(folder)
    rows, wrong = read_manifest(folder)
    if wrong:
        raise InputError(f"{folder / 'manifest.parquet'}: {wrong[0]}; build the dataset again")
    return Dataset(folder, built, fmt, rows)
