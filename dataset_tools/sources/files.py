"""Audio files below a folder of the user's: which there are, which are refused, and their sound.

Nothing outside the folder is read: a link is followed only to a file inside it, and a table's path
is taken only if it stays inside.
"""

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import mutagen
import numpy as np

from dmm.errors import InputError
from dmm.files import sha256_file
from dmm.sound.audio import stream_audio
from dmm.sound.decoding import PROTECTED

from ..layout import BUILD_FOLDER
from . import Rejected, Stream

SUFFIXES = {
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".m4p", ".aac", ".aif", ".aiff",
}  # fmt: skip
"""By suffix only what may be sound is chosen; what it holds is found out by reading it."""


def source_folder(folder: Path | None) -> Path:
    """Return the folder, or raise InputError if it is none."""
    if folder is None or not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name one that holds audio files (--input DIR)")
    return folder


def audio_files(root: Path) -> list[Path]:
    """List audio files below ``root``, sorted."""
    return files_below(root, SUFFIXES)


def files_below(root: Path, suffixes: set[str]) -> list[Path]:
    """List files with these suffixes, sorted; hidden names and datasets of ours left out.

    Links to folders are not followed, so there is no going in circles: see ``linked_folders``.
    """
    found: list[Path] = []
    for folder, names, _ in _walk(root):
        found += [folder / name for name in names if Path(name).suffix.lower() in suffixes]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def linked_folders(root: Path) -> Iterator[Rejected]:
    """Yield a refusal for every link to a folder, which is not followed."""
    links = [folder / name for folder, _, names in _walk(root) for name in names]
    for link in sorted(path for path in links if path.is_symlink()):
        yield Rejected(shown(link, root), f"link: {_leads(link, root)}; copy the folder here")


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield (folder, file names, folder names), without what is hidden or a dataset of ours."""
    for folder, subfolders, names in os.walk(root):
        mine = BUILD_FOLDER in subfolders  # a dataset: its reference audio is no input
        subfolders[:] = [] if mine else [name for name in subfolders if not name.startswith(".")]
        yield Path(folder), [] if mine else [n for n in names if n[0] != "."], subfolders


def shown(path: Path, root: Path) -> str:
    """Give the path below ``root`` with slashes, in letters that every file can hold."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")


def file_sha256(path: Path, root: Path) -> str:
    """Hash a file that may be read; InputError, beginning with the kind, for one that may not."""
    try:
        str(path.relative_to(root)).encode()
    except UnicodeEncodeError as error:  # libsndfile and our tables cannot take it
        raise InputError("name not UTF-8: rename the file") from error
    if not stays_inside(path, root) or (path.is_symlink() and not path.is_file()):
        raise InputError(f"link: {_leads(path, root)}; copy the file here")
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError("not a file: a folder, device or pipe; leave it out")
        if found.st_size == 0:
            raise InputError("empty file: 0 bytes")
        if _is_protected(path):
            raise InputError("protected: encrypted by its shop (DRM); leave it out")
        return sha256_file(path)
    except OSError as error:
        raise InputError(f"unreadable: {error.strerror}") from error


def _leads(link: Path, root: Path) -> str:
    """Say where a link leads that is not followed."""
    try:
        target = link.resolve(strict=True)
    except (RuntimeError, OSError) as error:  # Python 3.13 has OSError for a circle
        return "leads nowhere" if isinstance(error, FileNotFoundError) else "leads in a circle"
    if not target.is_relative_to(root.resolve()):
        return "leads out of the folder"
    return "leads to a folder, which is not followed"


def _is_protected(path: Path) -> bool:
    """Tell encrypted MP4 sound by its sample entry, without decoding; False for all else."""
    try:
        file = mutagen.File(path)  # pyright: ignore[reportPrivateImportUsage]
    except (mutagen.MutagenError, OSError):  # pyright: ignore[reportPrivateImportUsage]
        return False
    return getattr(getattr(file, "info", None), "codec", None) in PROTECTED


def inside(name: str, root: Path) -> Path | None:
    """Return the path that a table names below ``root``; None if it would leave the folder.

    >>> inside("../secret.mp3", Path("music")) is None
    True
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0] or "\0" in name:
        return None
    path = root.joinpath(*parts)
    return path if stays_inside(path, root) else None


def stays_inside(path: Path, root: Path) -> bool:
    """Tell whether a path below ``root`` is still there once every link is followed."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (RuntimeError, OSError):  # a circle of links
        return False


def file_stream(path: Path) -> Stream:
    """Make a track's ``stream`` of a file."""
    return partial(stream_file, path)


def stream_file(path: Path, sr: int, channels: int) -> Iterator[np.ndarray]:
    """Read a file's sound; the InputError names no folder, they are no one else's business."""
    try:
        yield from stream_audio(path, sr, channels)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ").replace(str(path), path.name)
        kind = "" if reason.startswith("truncated:") else "unreadable: "
        raise InputError(f"{kind}{reason}") from error
