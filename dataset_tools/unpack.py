"""Unpack a zip file so that nothing in it can lie outside the folder or fill the disk."""

import stat
import zipfile
from pathlib import Path

from dmm.errors import DmmError
from dmm.files import whole_file
from dmm.progress import progress_bar

from .sources.files import inside

MOST_UNPACKED = 20
"""Times its own size that an archive may unpack to; sound hardly shrinks."""


def unpack(archive: Path, out: Path) -> None:
    """Write an archive's files below ``out``; those there already with their size are kept.

    Every name is checked before the first is written. DmmError for a damaged archive, or one with
    a link, or a path that leaves the folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [
                m for m in opened.infolist() if not m.is_dir() and "__MACOSX" not in m.filename
            ]
            targets = [_target(member, archive, out) for member in members]
            if sum(m.file_size for m in members) > MOST_UNPACKED * archive.stat().st_size + 10**6:
                raise DmmError(f"{archive.name}: unpacks to far too much; it was left as it is")
            with progress_bar(f"unpacking {archive.name}", len(members)) as advance:
                for member, target in zip(members, targets, strict=True):
                    _write(opened, member, target)
                    advance()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DmmError(f"{archive}: damaged ({error}); remove it and run again") from error


def _target(member: zipfile.ZipInfo, archive: Path, out: Path) -> Path:
    target = inside(member.filename, out)
    if target is None or stat.S_ISLNK(member.external_attr >> 16):
        raise DmmError(
            f"{archive.name}: {member.filename!r} leaves the folder; nothing was unpacked"
        )
    return target


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    if target.is_file() and target.stat().st_size == member.file_size:
        return
    with opened.open(member) as packed, whole_file(target) as part, part.open("wb") as out:
        while block := packed.read(1 << 20):
            out.write(block)
