"""Files and folders that are whole or absent: write beside the target, then rename."""

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
    """Yield a path beside ``path`` to write to; it takes the final name only if the block succeeds.

    The suffix is kept, so that writers which look at it (soundfile, Pillow) still work. A full
    disk or a folder that cannot be written raises DmmError and leaves nothing behind.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside; it takes the name, and the place of an old one, at the end.

    DmmError as ``whole_file``.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with _told(folder):
            part.mkdir(parents=True)
            yield part
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A disk that is full or read-only is told as a user's matter."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DmmError(f"{path}: the disk is full; free some space and run again") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.ENOTDIR):
            raise DmmError(f"{path}: cannot be written ({error.strerror})") from error
        raise


def refuse_same(out: Path, *sources: Path) -> None:
    """InputError if a file is to be written over one that it is made from."""
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise InputError(f"{out}: is read for this; name another file to write")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
