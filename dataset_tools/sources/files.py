"""Find, check and read the audio files below a folder of the user's.

Nothing outside the folder is read: links are followed only to files inside it, and paths in tables
are used only if they stay inside.
"""

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import mutagen
import numpy as np

from dmm.errors import InputError
from dmm.files import readable_os_errors, sha256_file
from dmm.files.paths import stays_inside
from dmm.sound.audio import stream_audio
from dmm.sound.decoding import AUDIO_SUFFIXES, PROTECTED

from ..layout import BUILD_FOLDER
from . import Rejected, Stream


def checked_folder(folder: Path | None) -> Path:
    """Return the folder; InputError if it is no folder that can be read."""
    if folder is None or not folder.is_dir():
        what = "no folder is given" if folder is None else f"{folder} is not a folder"
        raise InputError(f"{what}; name one that holds audio files (--input DIR)")
    with readable_os_errors(folder), os.scandir(folder):
        return folder


def audio_files_and_refusals(root: Path, remedy: str) -> tuple[list[Path], list[Rejected]]:
    """Audio files below ``root``, sorted, and refusals of folders that were not read.

    InputError if there is no audio file: the first refusal of a folder, else with ``remedy``.
    """
    paths, unread = files_below(root, AUDIO_SUFFIXES), list(refusals_of_folders(root))
    if unread and not paths:
        raise InputError(f"{root / unread[0].input}: {unread[0].reason}")
    if not paths:
        raise InputError(f"{root} holds no audio file; {remedy}")
    return paths, unread


def files_below(root: Path, suffixes: set[str]) -> list[Path]:
    """List files with these suffixes, sorted, without hidden ones and those of built datasets.

    Links to folders are not followed, so there are no endless loops: see ``refusals_of_folders``.
    """
    found: list[Path] = []
    for folder, names, _ in _visible_folders(root):
        found += [folder / name for name in names if Path(name).suffix.lower() in suffixes]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def refusals_of_folders(root: Path) -> Iterator[Rejected]:
    """Yield a refusal for every folder that cannot be read, or is a link and not followed."""
    unreadable: list[OSError] = []
    for _ in _visible_folders(root, unreadable.append):
        pass
    for error in unreadable:
        yield Rejected(
            display_path(Path(error.filename), root),
            f"unreadable folder: {error.strerror}; change its permissions",
        )
    links = [folder / name for folder, _, names in _visible_folders(root) for name in names]
    for link in sorted(path for path in links if path.is_symlink()):
        yield Rejected(
            display_path(link, root), f"link: {_link_fault(link, root)}; copy the folder here"
        )


def _visible_folders(
    root: Path, onerror: Callable[[OSError], object] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield (folder, file names, folder names), without hidden names; of built datasets none."""
    for folder, subfolders, names in os.walk(root, onerror=onerror):
        is_dataset = BUILD_FOLDER in subfolders  # its reference audio is no input
        subfolders[:] = (
            [] if is_dataset else [name for name in subfolders if not name.startswith(".")]
        )
        yield Path(folder), [] if is_dataset else [n for n in names if n[0] != "."], subfolders


def display_path(path: Path, root: Path) -> str:
    """Path below ``root`` with slashes; bytes that are not UTF-8 are replaced."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")


def checked_file_sha256(path: Path, root: Path) -> str:
    """Hash an audio file; an InputError begins with the fault, such as "link:" or "empty file:"."""
    try:
        str(path.relative_to(root)).encode()
    except UnicodeEncodeError as error:  # neither libsndfile nor the manifest can hold such a name
        raise InputError("name not UTF-8: rename the file") from error
    if not stays_inside(path, root) or (path.is_symlink() and not path.is_file()):
        raise InputError(f"link: {_link_fault(path, root)}; copy the file here")
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError("not a file: a folder, device or pipe; leave it out")
        if found.st_size == 0:
            raise InputError("empty file: 0 bytes")
        if _is_encrypted(path):
            raise InputError("protected: encrypted by its shop (DRM); leave it out")
        return sha256_file(path)
    except OSError as error:
        raise InputError(f"unreadable: {error.strerror}") from error


def _link_fault(link: Path, root: Path) -> str:
    """Reason why a link is not followed."""
    try:
        target = link.resolve(strict=True)
    except (RuntimeError, OSError) as error:  # for a loop Python 3.13 raises OSError
        is_broken = isinstance(error, FileNotFoundError | NotADirectoryError)
        return "leads nowhere" if is_broken else "leads in a circle"
    if not target.is_relative_to(root.resolve()):
        return "leads out of the folder"
    return "leads to a folder, which is not followed"


def _is_encrypted(path: Path) -> bool:
    """Whether the file is encrypted MP4 sound, as its sample entry says; nothing is decoded."""
    try:
        file = mutagen.File(path)  # pyright: ignore[reportPrivateImportUsage]
    except (mutagen.MutagenError, OSError):  # pyright: ignore[reportPrivateImportUsage]
        return False
    return getattr(getattr(file, "info", None), "codec", None) in PROTECTED


def make_file_stream(path: Path) -> Stream:
    """Make a ``Track.stream`` that reads a file."""
    return partial(stream_file, path)


def stream_file(path: Path, sr: int, channels: int) -> Iterator[np.ndarray]:
    """Yield a file's sound in blocks; an InputError names the file without its folder."""
    try:
        yield from stream_audio(path, sr, channels)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ").replace(str(path), path.name)
        kind = "" if reason.startswith("truncated:") else "unreadable: "
        raise InputError(f"{kind}{reason}") from error
