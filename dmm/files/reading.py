"""Read files of unknown origin: regular files of bounded size, or an InputError in one line."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

from ..errors import DmmError, InputError
from .os_errors import os_error_line
from .parsing import decode_text, parse_json, parse_toml

T = TypeVar("T")
MAX_TEXT = 64 << 20
"""Largest JSON, TOML or text file in bytes."""
MAX_LINES = 2 << 30
"""Largest file of JSON lines in bytes."""


@contextmanager
def open_bytes(path: Path, error: type[DmmError] = InputError) -> Iterator[BufferedReader]:
    """Open a regular file for reading; ``error`` for anything else, without waiting for a pipe."""
    check_regular(path, error)
    with _one_line_errors(path, error):
        file = path.open("rb")
    with file:
        yield file


def check_regular(path: Path, error: type[DmmError] = InputError) -> os.stat_result:
    """The status of a regular file; ``error`` for a missing file, a folder, a pipe or a device."""
    with _one_line_errors(path, error):
        found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise error(f"{path}: a folder; name a file")
    if not stat.S_ISREG(found.st_mode):
        raise error(f"{path}: a pipe or device; name a regular file")
    return found


def read_bytes(path: Path, max_bytes: int = MAX_TEXT, error: type[DmmError] = InputError) -> bytes:
    """The bytes of a regular file; ``error`` if it has more than ``max_bytes``."""
    size = check_regular(path, error).st_size
    if size > max_bytes:
        raise error(f"{path}: {size} bytes; at most {max_bytes} are read; name another file")
    with open_bytes(path, error) as file, _one_line_errors(path, error):
        return file.read(max_bytes)


def read_text(path: Path, max_bytes: int = MAX_TEXT, error: type[DmmError] = InputError) -> str:
    """The text of a UTF-8 file, without a byte order mark; ``error`` as for ``read_bytes``."""
    return decode_text(read_bytes(path, max_bytes, error), path, error)


def read_json(
    path: Path,
    kind: type[T] | Any = dict[str, Any],
    *,
    finite: bool = True,
    error: type[DmmError] = InputError,
) -> T:
    """The contents of a JSON file as ``kind``; errors as in ``dmm.files.parsing.parse_json``."""
    return parse_json(read_text(path, error=error), path, kind, finite=finite, error=error)


def read_toml(
    path: Path,
    kind: type[T] | Any = dict[str, Any],
    *,
    finite: bool = True,
    error: type[DmmError] = InputError,
) -> T:
    """The contents of a TOML file as ``kind``; errors as in ``dmm.files.parsing.parse_json``."""
    return parse_toml(read_text(path, error=error), path, kind, finite=finite, error=error)


def read_jsonl(
    path: Path,
    kind: type[T] | Any = dict[str, Any],
    *,
    finite: bool = True,
    skip_damaged: bool = False,
) -> list[T]:
    """The values in a JSON lines file, one per line; InputError names a damaged line.

    ``skip_damaged`` leaves out lines that are not ``kind``, such as the last one of a killed
    process.
    """
    lines = []
    for number, text in enumerate(read_bytes(path, MAX_LINES).split(b"\n"), 1):
        if text.strip():
            try:
                lines.append(parse_json(text, f"{path}: line {number}", kind, finite=finite))
            except InputError:
                if not skip_damaged:
                    raise
    return lines


@contextmanager
def _one_line_errors(path: Path, error: type[DmmError]) -> Iterator[None]:
    """Raise OSError and ValueError within the block as ``error``, in one line."""
    try:
        yield
    except FileNotFoundError as fault:
        raise error(f"{path}: no such file; check the path") from fault
    except OSError as fault:
        raise error(os_error_line(fault, path)) from fault
    except ValueError as fault:  # a zero byte in the path
        raise error(f"{path!r}: no valid path ({fault})") from fault
