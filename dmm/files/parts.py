"""Part files: the hidden names under which files are written, and removal of those left behind.

A process that is killed leaves its part files. Their names say which process wrote them, so the
next command that writes to the same folder removes those of processes that have ended.
"""

import hashlib
import itertools
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

NAME = re.compile(
    r"\..*\.((?P<host>[0-9a-f]{8})-)?(?P<pid>\d{1,10})(-\d+)?\.part(\.[^.]+)?", re.DOTALL
)
"""``.STEM.HOST-PID-NUMBER.part.SUFFIX``; earlier versions wrote neither host nor number."""
MAX_STEM = 60
"""Characters of the final name that a part's name repeats, so that it is never too long."""
OTHER_HOST_S = 24 * 3600.0
"""Age from which another machine's part file counts as left behind: its process is unknown here."""
_numbers = itertools.count()
_own: set[Path] = set()
"""Part files that this process is writing."""
_cleaned: set[Path] = set()
"""Folders in which this process has removed parts that others left."""


def new_part_path(path: Path) -> Path:
    """A new unique part name beside ``path``, with its suffix; registered as this process's."""
    name = f".{path.stem[:MAX_STEM]}.{host_id()}-{os.getpid()}-{next(_numbers)}.part{path.suffix}"
    part = path.with_name(name)
    _own.add(part.absolute())
    return part


def is_own_part(path: Path) -> bool:
    """Whether ``path`` is a part file that this process is writing."""
    return path.absolute() in _own


def remove_part(part: Path) -> None:
    """Remove a part file or folder of this process, if it exists; failures are ignored."""
    _own.discard(part.absolute())
    _remove(part)


def remove_left_behind(folder: Path) -> None:
    """Remove part files that ended processes left in ``folder``; once per process and folder."""
    place = folder.absolute()
    if place not in _cleaned:
        _cleaned.add(place)
        for part in left_behind_parts(folder):
            _remove(part)


def left_behind_parts(folder: Path) -> Iterator[Path]:
    """Yield part files and folders in ``folder`` whose process has ended."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = NAME.fullmatch(entry.name) if entry.name[0] == "." else None
            path = Path(folder, entry.name)
            if found and not is_own_part(path) and _has_ended(path, found):
                yield path


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


@cache
def host_id() -> str:
    """Eight hexadecimal digits that identify this machine in names."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def is_running(pid: int) -> bool:
    """Whether a process with this number exists on this machine."""
    import psutil

    return psutil.pid_exists(pid)


def _has_ended(path: Path, found: re.Match[str]) -> bool:
    pid = int(found["pid"])
    if found["host"] not in (None, host_id()):
        return time.time() - path.lstat().st_mtime > OTHER_HOST_S
    # a part with our own id that is not ours (``is_own_part``) is from an ended process
    return pid == os.getpid() or not is_running(pid)


def _remove(path: Path) -> None:
    """Remove a file or folder; failures are ignored."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
