"""Locks: one process at a time writes to an output folder or file.

A lock is a hidden file that names the processes and the machine. A process that is killed leaves
it; the next one recognises that its processes have ended, and takes it over.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import DmmError, InputError
from .os_errors import make_folder, readable_os_errors
from .parts import is_running, new_part_path, remove_part

FOLDER_LOCK = ".dmm.lock"
"""File name of a folder's lock, in that folder."""
UNFINISHED_S = 10.0
"""Age from which a lock without content is stale: its process was killed while it wrote it."""


@dataclass
class Lock:
    """A lock that this process holds."""

    path: Path
    what: str
    """Name of the output in the error of another process."""

    def share_with(self, *pids: int) -> None:
        """Let the lock last until these processes have ended too, even if this one is killed."""
        self.path.write_text(_lock_text([os.getpid(), *pids]), encoding="utf-8")


@contextmanager
def folder_lock(folder: Path) -> Iterator[Lock]:
    """Create an output folder and hold its lock; InputError if another process holds it.

    A folder that is new and still empty is removed at the end.
    """
    existed = folder.exists()
    make_folder(folder)
    try:
        with _hold_lock(folder / FOLDER_LOCK, str(folder)) as lock:
            yield lock
    finally:
        if not existed:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def output_lock(file: Path) -> Iterator[Lock]:
    """Hold the lock of an output file, beside it; InputError if another process holds it."""
    make_folder(file.parent)
    with _hold_lock(file.with_name(f".{file.name[:60]}.lock"), str(file)) as lock:
        yield lock


@contextmanager
def _hold_lock(path: Path, what: str) -> Iterator[Lock]:
    """Hold the lock file ``path`` within the block; InputError if another process holds it."""
    content = _lock_text([os.getpid()])
    for _ in range(2):  # the second time after a stale lock was removed
        try:
            _create_lock_file(path, content)
            break
        except DmmError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
            _remove_stale_lock(path, what)
    else:
        raise InputError(f"{what}: another command has just begun to write there; wait for it")
    try:
        yield Lock(path, what)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _create_lock_file(path: Path, content: str) -> None:
    """Write a lock file; DmmError if it exists, or on a full disk, which leaves none."""
    with readable_os_errors(path), path.open("x", encoding="utf-8") as file:
        try:
            file.write(content)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _lock_text(pids: list[int]) -> str:
    """Contents of a lock file: this machine and the ids of processes."""
    return json.dumps({"host": platform.node(), "pids": pids}) + "\n"


def _remove_stale_lock(path: Path, what: str) -> None:
    """Remove a lock whose processes have ended; InputError if one runs, or may run elsewhere."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        written_at = path.stat().st_mtime
    except FileNotFoundError:
        return
    _refuse_live_lock(path, what, text, written_at)
    aside = new_part_path(path)
    try:
        with suppress(FileNotFoundError):
            path.rename(aside)
            if aside.read_text(encoding="utf-8", errors="replace") != text:  # somebody was faster
                aside.rename(path)
    finally:
        remove_part(aside)


def _refuse_live_lock(path: Path, what: str, text: str, written_at: float) -> None:
    """InputError unless all processes of a lock have ended, or it is old and unreadable."""
    try:
        found = json.loads(text)
        host, pids = str(found["host"]), [int(pid) for pid in found["pids"]]
    except (ValueError, KeyError, TypeError):
        if time.time() - written_at > UNFINISHED_S:
            return
        raise InputError(f"{what}: another command has just begun to write there; wait") from None
    if host != platform.node():
        raise InputError(
            f"{what}: a command on {host} (process {pids[0]}) writes there; wait for it, or delete "
            f"{path} if it has ended"
        )
    if running := [pid for pid in pids if _runs_since_lock(pid, written_at)]:
        raise InputError(
            f"{what}: another command (process {running[0]}) writes there; wait for it, or name "
            "another --out"
        )


def _runs_since_lock(pid: int, written_at: float) -> bool:
    """Whether a process of the lock runs; ids of ended processes are given to new ones."""
    if not is_running(pid):
        return False
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.create_time() < written_at + 5
    except psutil.Error:
        return False
