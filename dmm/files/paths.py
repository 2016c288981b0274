"""Paths made of names that come from data: they never leave their folder."""

import re
from pathlib import Path, PurePosixPath

from ..errors import InputError

_SEPARATOR = re.compile(r"[/\\:\0]")


def is_plain_name(name: str) -> bool:
    r"""Whether a name is that of a file in the same folder, on every system.

    >>> [is_plain_name(name) for name in ("rain-1", "../rain", "a/b", "C:x", "", "..", "a\\0")]
    [True, False, False, False, False, False, False]
    """
    return name not in ("", ".", "..") and not _SEPARATOR.search(name)


def file_in(folder: Path, name: str, where: object) -> Path:
    """``folder / name``; InputError, beginning with ``where``, unless it is a plain name."""
    if not is_plain_name(name):
        raise InputError(f"{where}: {name!r} is no file name; build the dataset again")
    return folder / name


def path_inside(name: str, root: Path) -> Path | None:
    """Path below ``root`` for a relative path ``name``; None if it would leave that folder.

    >>> path_inside("../secret.mp3", Path("music")) is None
    True
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0] or "\0" in name:
        return None
    path = root.joinpath(*parts)
    return path if stays_inside(path, root) else None


def stays_inside(path: Path, root: Path) -> bool:
    """Whether a path is below ``root`` once all links are followed; False for circular links."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (RuntimeError, OSError):  # a loop of links
        return False
