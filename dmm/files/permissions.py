"""Permissions of finished files: what the umask gives, whichever library wrote them."""

from contextlib import suppress
from pathlib import Path

from .parts import part_of, remove_part


def follow_umask(path: Path) -> None:
    """Let everybody whom the umask admits read a file, or all files in a folder.

    safetensors and tempfile write files that only their owner can read. The umask itself cannot be
    read without changing it for all threads, so a file beside ``path`` shows what it gives.
    Permissions are only added. Disks without permissions are left alone.
    """
    with suppress(OSError):
        usual = _mode_of_a_new_file(path)
        for file in filter(Path.is_file, path.rglob("*") if path.is_dir() else [path]):
            mode = file.stat().st_mode
            if mode | usual != mode:
                file.chmod(mode | usual)


def _mode_of_a_new_file(beside: Path) -> int:
    probe = part_of(beside)
    try:
        probe.touch()
        return probe.stat().st_mode
    finally:
        remove_part(probe)
