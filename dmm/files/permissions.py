"""Permissions of finished files: what the umask gives, whichever library wrote them."""

from contextlib import suppress
from pathlib import Path

from .parts import new_part_path, remove_part

OTHERS = 0o077
"""Permissions of all but the owner."""


def follow_umask(path: Path) -> None:
    """Add the permissions that the umask allows to a file, or to all files in a folder.

    safetensors and tempfile write files that only their owner can read. The umask itself cannot be
    read without changing it for all threads, so a file beside ``path`` shows what it gives; none is
    made where all files are open to others already. Disks without permissions are left alone.
    """
    with suppress(OSError):
        files = filter(Path.is_file, path.rglob("*") if path.is_dir() else [path])
        private = [file for file in files if not file.stat().st_mode & OTHERS]
        if private:
            usual = _mode_of_a_new_file(path)
            for file in private:
                file.chmod(file.stat().st_mode | usual)


def _mode_of_a_new_file(beside: Path) -> int:
    """Mode of a file that is created beside this path, and removed again."""
    probe = new_part_path(beside)
    try:
        probe.touch()
        return probe.stat().st_mode
    finally:
        remove_part(probe)
