"""Errors of the operating system in one line: the file, what is wrong, the remedy."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DmmError

REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "your disk quota is used up; free some space and run again",
    errno.EFBIG: "larger than this file system or ulimit -f allows; name another place",
    errno.EROFS: "cannot be written (the file system is read-only); name another place",
    errno.EACCES: "permission denied; change its permissions or name another place",
    errno.EPERM: "the system does not permit this; change its permissions or name another place",
    errno.ENAMETOOLONG: "the name is too long for this file system; shorten it",
    errno.ENOTDIR: "a part of this path is a file, not a folder; correct the path",
    errno.EISDIR: "a folder; name a file",
    errno.ENOTEMPTY: "a folder that is not empty; name another",
    errno.EEXIST: "exists already; name another place",
    errno.ENOENT: "no such file or folder; check the path",
    errno.ELOOP: "links that lead in a circle; correct the path",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n) and run again",
    errno.ENFILE: "too many open files on this machine; close programs and run again",
    errno.ENOMEM: "not enough memory; close programs and run again",
    errno.EIO: "the disk reports a read or write error; check the disk",
}
"""Error number to its meaning for a user, and the remedy."""
OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""End of Rust's messages on errors of the operating system."""
ERRNO = re.compile(r"\[Errno (\d+)\]")
"""Beginning of Python's."""


def os_error_line(error: OSError, path: Path | str | None = None) -> str:
    """One line for any OSError: the file that it names, else ``path``, the reason, the remedy."""
    if isinstance(error, shutil.Error) and (number := ERRNO.search(str(error))):
        error = OSError(int(number[1]), os.strerror(int(number[1])))  # copytree lists all by texts
    where = path if error.filename is None else os.fsdecode(error.filename)
    reason = REASONS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
    return reason if where is None else f"{where}: {reason}"


@contextmanager
def readable_os_errors(path: Path, part: Path | None = None) -> Iterator[None]:
    """Raise file errors (OSError) as a one-line DmmError, which shows ``part`` as ``path``.

    This includes write errors of torch and safetensors, which raise exceptions of their own, but no
    broken pipes, connection errors and timeouts.
    """
    try:
        yield
    except (BrokenPipeError, ConnectionError, TimeoutError):
        raise
    except Exception as error:
        found = _os_error(error)
        if found is None:
            raise
        is_ours = found.filename is not None and Path(os.fsdecode(found.filename)) in (part, path)
        line = os_error_line(OSError(found.errno, found.strerror) if is_ours else found, path)
        raise DmmError(line) from error


def _os_error(error: BaseException) -> OSError | None:
    """The OSError itself, or the one behind an exception of torch or safetensors; else None."""
    if isinstance(error, OSError):
        return error
    if type(error).__name__ == "SafetensorError" and (number := OS_ERROR.search(str(error))):
        return OSError(int(number[1]), os.strerror(int(number[1])))
    if type(error) is RuntimeError and isinstance(error.__context__, OSError):
        return error.__context__
    return None


def make_folder(folder: Path) -> None:
    """Create a folder and its parents unless it exists; DmmError in one line if that fails."""
    with readable_os_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            place = error.filename or folder
            raise DmmError(f"{place}: a file, not a folder; name another place") from error
