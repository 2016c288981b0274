"""Write files and folders completely or not at all: beside the target, then renamed."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DmmError, InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it is renamed only if the block succeeds.

    The suffix is kept for writers that depend on it (soundfile, Pillow). DmmError, and no file, for
    a full disk or a folder that cannot be written.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        with _readable_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; if the block succeeds, it replaces ``folder``.

    DmmError as for ``whole_file``.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with _readable_os_errors(folder):
            part.mkdir(parents=True)
            yield part
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _readable_os_errors(path: Path) -> Iterator[None]:
    """Raise a full disk and missing permissions as DmmError."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DmmError(f"{path}: the disk is full; free some space and run again") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.ENOTDIR):
            raise DmmError(f"{path}: cannot be written ({error.strerror})") from error
        raise


def refuse_same(out: Path, *sources: Path) -> None:
    """InputError if the output file is one of the files it is made from."""
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise InputError(f"{out}: is an input of this command; name another file to write")


def refuse_filled(folder: Path) -> None:
    """Raise InputError if the folder is a file or is not empty."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"{folder}: is a file or not empty already; name a new folder")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text completely or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
