"""Read a built dataset: ``dataset.json`` and the rows of the manifest."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dmm.codec.mel import MelFormat, parse_format
from dmm.errors import InputError
from dmm.files import read_json, read_table, validated
from dmm.files.paths import file_in, is_plain_name

from .manifest_schema import ADDED_LATER, SCHEMA

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
    built = read_json(path)
    validated(built, f"{path}: damaged, build the dataset again", _Built)
    return built, parse_format(built["format"], f"{path}: damaged, build the dataset again")


class _Options(BaseModel):
    anchor: str
    class_words: str | None = None


class _Built(BaseModel):
    """Fields of ``dataset.json`` that every reader needs."""

    options: _Options
    format: dict[str, Any]


def read_manifest(folder: Path) -> tuple[list[Row], list[str]]:
    """Read the manifest's rows, and list the columns that are missing or of another type.

    InputError if the file is missing or is no Parquet file, and for an id or split that is no file
    name.
    """
    path = folder / "manifest.parquet"
    table = read_table(path)
    rows, present = table.to_pylist(), table.column_names
    if added := dict.fromkeys(name for name in ADDED_LATER if name not in present):
        for row in rows:
            row.update(added)
    wrong = [
        f"no column {column.name!r}"
        if column.name not in present
        else f"column {column.name!r} holds {table.schema.field(column.name).type}"
        for column in SCHEMA
        if column.name not in {*present, *ADDED_LATER}
        or (column.name in present and table.schema.field(column.name).type != column.type)
    ]
    names = {row.get(column) for column in ("id", "split") for row in rows}
    for name in names:
        if isinstance(name, str) and not is_plain_name(name):
            file_in(folder, name, path)
    return rows, wrong


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
