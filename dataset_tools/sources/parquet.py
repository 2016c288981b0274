"""Read rows of Parquet files that hold sound, one at a time, in constant memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dmm.errors import InputError
from dmm.files import parse_json

BUFFER = 1 << 20
"""Bytes read at once; without this limit pyarrow reads the whole column of a row group."""


def parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number, values); class numbers are replaced by the names of the classes.

    InputError for a file that cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
            classes = _class_names(file.schema_arrow.metadata or {})
            row = 0
            for batch in file.iter_batches(batch_size=1, use_threads=False):
                for values in batch.to_pylist():
                    yield row, values | _names_of_class_numbers(values, classes)
                    row += 1
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: no Parquet file that can be read; get it again") from error


def parquet_sound_bytes(path: Path, row: int, column: str) -> bytes:
    """Read the sound in one row, from its row group alone; InputError if there is no such row."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            n_rows = file.metadata.row_group(group).num_rows
            if row < n_rows:
                batches = file.iter_batches(1, [group], [column], use_threads=False)
                for _ in range(row):
                    next(batches)
                value = next(batches).column(0)[0].as_py()
                return value["bytes"] if isinstance(value, dict) else value
            row -= n_rows
    raise InputError(f"{path.name}: changed since it was listed; build again")


class _ClassFeature(BaseModel):
    names: list[str] = []


class _DatasetInfo(BaseModel):
    features: dict[str, _ClassFeature] = {}


class _HuggingfaceMetadata(BaseModel):
    """The part of the ``datasets`` library's metadata that names classes."""

    info: _DatasetInfo = _DatasetInfo()


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Names of the classes, from the metadata that the ``datasets`` library adds to the schema."""
    try:
        known = parse_json(metadata.get(b"huggingface", b"{}"), "features", _HuggingfaceMetadata)
    except InputError:
        return {}
    return {name: kind.names for name, kind in known.info.features.items() if kind.names}


def _names_of_class_numbers(
    values: dict[str, Any], classes: dict[str, list[str]]
) -> dict[str, Any]:
    """The values that are class numbers, replaced by the names of their classes."""
    numbers = {name: values.get(name) for name in classes}
    return {
        name: classes[name][number]
        for name, number in numbers.items()
        if isinstance(number, int) and 0 <= number < len(classes[name])
    }
