"""Unpack a zip file safely: no file outside the folder, no excessive expansion."""

import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import IO

from dmm.errors import DmmError
from dmm.files import whole_file
from dmm.files.paths import path_inside
from dmm.progress import progress_bar

MAX_EXPANSION = 20
"""Largest unpacked size, in sizes of the archive (plus 1 MB); sound is hardly compressed."""
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""Exceptions of the libraries for an archive that is damaged, encrypted or of an unknown kind."""


def unpack(archive: Path, out: Path) -> None:
    """Write an archive's files below ``out``; existing files of the same size are kept.

    All names are checked before anything is written. DmmError for an archive that is damaged,
    expands too much, or has a link or a path that leaves the folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [
                m for m in opened.infolist() if not m.is_dir() and "__MACOSX" not in m.filename
            ]
            targets = [_checked_target(member, archive, out) for member in members]
            if sum(m.file_size for m in members) > MAX_EXPANSION * archive.stat().st_size + 10**6:
                raise DmmError(f"{archive.name}: unpacks to far too much; nothing was unpacked")
            with progress_bar(f"unpacking {archive.name}", len(members)) as advance:
                for member, target in zip(members, targets, strict=True):
                    _write_unless_there(opened, member, target)
                    advance()
    except DAMAGE as error:
        raise DmmError(f"{archive}: damaged ({error}); remove it and run again") from error


def _checked_target(member: zipfile.ZipInfo, archive: Path, out: Path) -> Path:
    """Path to unpack a member to; DmmError for a link or a path that leaves the folder."""
    target = path_inside(member.filename, out)
    if target is None or stat.S_ISLNK(member.external_attr >> 16):
        raise DmmError(
            f"{archive.name}: {member.filename!r} leaves the folder; nothing was unpacked"
        )
    return target


def _write_unless_there(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Unpack a member, unless a file of its size is there."""
    if target.is_file() and target.stat().st_size == member.file_size:
        return
    with opened.open(member) as packed, whole_file(target) as part, part.open("wb") as out:
        for block in _read_blocks(packed):
            out.write(block)


def _read_blocks(packed: BufferedIOBase | IO[bytes]) -> Iterator[bytes]:
    """Yield a member's content; BadZipFile for bz2's OSError on a corrupt stream."""
    try:
        while block := packed.read(1 << 20):
            yield block
    except OSError as error:
        raise zipfile.BadZipFile(str(error)) from error
