"""Write files and folders completely or not at all: beside the target, then renamed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .os_errors import make_folder, readable_os_errors
from .parts import is_own_part, part_of, remove_part, sweep
from .permissions import follow_umask


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it is renamed only if the block succeeds.

    The suffix is kept for writers that depend on it (soundfile, Pillow). DmmError, and no file, for
    a full disk or a folder that cannot be written. A part of ``whole_files`` is written directly.
    """
    if is_own_part(path):
        yield path
        return
    with whole_files(path) as (part,):
        yield part


@contextmanager
def whole_files(*paths: Path) -> Iterator[list[Path]]:
    """Yield a path beside each of ``paths`` to write to; all are renamed if the block succeeds.

    What exists under the final names stays as it is until then. The last file shows that the others
    are complete: an older one is removed before the others are replaced. DmmError as in
    ``whole_file``.
    """
    parts = [part_of(path) for path in paths]
    try:
        with readable_os_errors(paths[0], parts[0]):
            for path in paths:
                make_folder(path.parent)
                sweep(path.parent)
                if path.is_dir():
                    raise InputError(f"{path}: a folder; name a file")
            yield parts
            for part in parts:
                follow_umask(part)
            _publish(parts, paths)
    finally:
        for part in parts:
            remove_part(part)


def _publish(parts: Sequence[Path], paths: Sequence[Path]) -> None:
    """Rename all; ctrl-C between two of them waits until all are."""
    pending = list(zip(parts, paths, strict=True))
    interruption: KeyboardInterrupt | None = None
    if len(paths) > 1:
        paths[-1].unlink(missing_ok=True)
    while pending:
        try:
            if interruption is None or pending[0][0].exists():
                os.replace(*pending[0])
            pending.pop(0)
        except KeyboardInterrupt as error:
            interruption = error
    if interruption:
        raise interruption


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; if the block succeeds, it replaces ``folder``.

    The earlier folder is removed only once the new one has its name. DmmError as for
    ``whole_file``.
    """
    part, earlier = part_of(folder), part_of(folder)
    try:
        with readable_os_errors(folder, part):
            make_folder(folder.parent)
            sweep(folder.parent)
            part.mkdir()
            yield part
            follow_umask(part)
            if folder.exists():
                folder.rename(earlier)
            try:
                part.rename(folder)
            except BaseException:
                if earlier.exists() and not folder.exists():
                    earlier.rename(folder)
                raise
    finally:
        remove_part(part)
        if folder.exists():
            remove_part(earlier)


@contextmanager
def scratch_folder(near: Path) -> Iterator[Path]:
    """Yield an empty folder in ``near`` for files of this block alone; it is removed at its end.

    That of a killed process is swept by the next command that writes to ``near``.
    """
    part = part_of(near / "scratch")
    try:
        with readable_os_errors(near, part):
            make_folder(near)
            sweep(near)
            part.mkdir()
            yield part
    finally:
        remove_part(part)


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
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
