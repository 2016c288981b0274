"""Write files and folders completely or not at all: beside the target, then renamed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .os_errors import make_folder, readable_os_errors
from .parts import is_own_part, new_part_path, remove_left_behind, remove_part
from .permissions import follow_umask


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a part path to write to; it is renamed to ``path`` only if the block succeeds.

    The suffix is kept for writers that depend on it (soundfile, Pillow). If the disk is full
    or the folder read-only, raises DmmError and leaves no file. A part path of ``whole_files`` is
    passed through.
    """
    if is_own_part(path):
        yield path
        return
    with whole_files(path) as (part,):
        yield part


@contextmanager
def whole_files(*paths: Path) -> Iterator[list[Path]]:
    """Yield a part path for each of ``paths``; all are renamed only if the block succeeds.

    Older files stay as they are until then. The last file shows that the others are complete, so an
    older one is removed before the others are replaced. DmmError as in ``whole_file``.
    """
    parts = [new_part_path(path) for path in paths]
    try:
        with readable_os_errors(paths[0], parts[0]):
            for path in paths:
                make_folder(path.parent)
                remove_left_behind(path.parent)
                if path.is_dir():
                    raise InputError(f"{path}: a folder; name a file")
            yield parts
            for part in parts:
                follow_umask(part)
            _rename_all(parts, paths)
    finally:
        for part in parts:
            remove_part(part)


def _rename_all(parts: Sequence[Path], paths: Sequence[Path]) -> None:
    """Rename all parts after an older last file is removed; ctrl-C takes effect only afterwards."""
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
    part, earlier = new_part_path(folder), new_part_path(folder)
    try:
        with readable_os_errors(folder, part):
            make_folder(folder.parent)
            remove_left_behind(folder.parent)
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
    """Yield an empty temporary folder in ``near``, which is removed at the end of the block.

    One that a killed process left is removed by the next command that writes to ``near``.
    """
    part = new_part_path(near / "scratch")
    try:
        with readable_os_errors(near, part):
            make_folder(near)
            remove_left_behind(near)
            part.mkdir()
            yield part
    finally:
        remove_part(part)


def refuse_overwriting_input(out: Path, *sources: Path) -> None:
    """InputError if the output file ``out`` is one of the input files."""
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise InputError(f"{out}: is an input of this command; name another file to write")


def refuse_non_empty(folder: Path) -> None:
    """InputError if ``folder`` is a file, or a folder that is not empty."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"{folder}: is a file or not empty already; name a new folder")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text completely or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
