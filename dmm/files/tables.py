"""Read Parquet tables: chosen columns of checked files, or an InputError in one line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .reading import check_regular


def read_table(path: Path, columns: Sequence[str] | None = None) -> Any:
    """A Parquet file as a pyarrow Table; InputError if it is damaged or lacks a column.

    ``pyarrow.parquet.read_table`` would import pandas, which takes seconds.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_regular(path)
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if missing := [name for name in columns or () if name not in names]:
                raise InputError(f"{path}: no column {missing[0]!r}; build the dataset again")
            return file.read(None if columns is None else list(columns))
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: damaged, not a whole Parquet file ({reason}); make it again"
        ) from error
