"""A folder of anyone's audio files: ``dmm data build --source folder --input DIR``.

Each file's words come from the first of: a sidecar ``NAME.txt`` beside it (UTF-8), its tags, its
own and its folders' names. Example row: ``wesnoth/battle.ogg`` with the tag genre=Orchestral gives
the caption "orchestral", origin "tags".
"""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.audio import read_audio
from dmm.errors import InputError
from dmm.files import sha256_file

from . import CaptionOrigin, Rejected, SourceRequest, Track, track_id
from .tags import read_tags, tag_caption

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac"}
DATASET_MARK = ".dmm-build"
"""A folder holding this is a dataset of ours: its reference audio is no input."""
NAMELESS = {"music", "audio", "sound", "sounds", "songs", "tracks", "untitled", "media"}
"""Folder and file names that say nothing."""
NO_ARTIST = {"various artists", "various", "unknown artist", "unknown", "va", "n/a"}


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield every audio file below ``request.input``, sorted by path.

    Links to folders are not followed. InputError for no folder, or one without audio files.
    """
    root = request.input
    if root is None or not root.is_dir():
        raise InputError(f"{root} is not a folder; name one that holds audio files (--input DIR)")
    paths = audio_files(root)
    if not paths:
        known = " ".join(sorted(SUFFIXES))
        raise InputError(f"{root} holds no audio file; put some there ({known})")
    for path in paths:
        yield _track(path, root, request.licence)


def audio_files(root: Path) -> list[Path]:
    """List audio files below ``root``, sorted; hidden names and datasets of ours left out."""
    found: list[Path] = []
    for folder, subfolders, names in os.walk(root):
        mine = DATASET_MARK in subfolders
        subfolders[:] = [] if mine else [name for name in subfolders if not name.startswith(".")]
        shown = [] if mine else [name for name in names if not name.startswith(".")]
        found += [Path(folder, name) for name in shown if Path(name).suffix.lower() in SUFFIXES]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _track(path: Path, root: Path, licence: str | None) -> Track | Rejected:
    name = path.relative_to(root).as_posix()
    try:
        if path.stat().st_size == 0:
            return Rejected(name, "empty file: 0 bytes")
        sha256 = sha256_file(path)
        tags = read_tags(path)
        caption, origin = _caption(path, tags, name)
    except UnicodeDecodeError as error:
        sidecar = path.with_suffix(".txt").name
        return Rejected(
            name, f"caption not UTF-8: {sidecar} at byte {error.start}; save it as UTF-8"
        )
    except OSError as error:
        return Rejected(name, f"unreadable: {error.strerror}")
    first = {key: values[0] for key, values in tags.items()}
    artist = first.get("artist")
    return Track(
        id=track_id(str(Path(name).with_suffix("")), sha256),
        source="folder",
        input=name,
        caption=caption,
        caption_origin=origin,
        sha256=sha256,
        load=partial(_load, path),
        title=first.get("title"),
        artist=artist if artist and artist.lower() not in NO_ARTIST else None,
        album=first.get("album"),
        licence=first.get("licence", licence),
    )


def _load(path: Path, sr: int, channels: int) -> Float[np.ndarray, "channels samples"]:
    try:
        return read_audio(path, sr, channels)
    except InputError as error:  # without the folders above: they are no one else's business
        reason = str(error).removeprefix(f"{path}: ").replace(str(path), path.name)
        raise InputError(f"unreadable: {reason}") from error


def _caption(path: Path, tags: dict[str, list[str]], name: str) -> tuple[str, CaptionOrigin]:
    """Find the words and their origin; UnicodeDecodeError for a sidecar that is not UTF-8."""
    sidecar = path.with_suffix(".txt")
    if sidecar.is_file() and (text := sidecar.read_text(encoding="utf-8-sig").strip()):
        return text, "sidecar"
    if text := tag_caption(tags):
        return text, "tags"
    return name_caption(name), "rule"


def name_caption(name: str) -> str:
    """Make words of a file's path, folders first; "music" if there are none.

    >>> name_caption("lo-fi_beats/music/03 - RainyNight_v2.mp3")
    'lo fi beats, rainy night'
    """
    parts = [_name_words(part) for part in Path(name).with_suffix("").parts]
    return (
        ", ".join(dict.fromkeys(part for part in parts if part and part not in NAMELESS)) or "music"
    )


def _name_words(part: str) -> str:
    part = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part)  # camelCase
    part = re.sub(r"[_\W]+", " ", part).lower()
    part = re.sub(r"\b(track ?\d*|v\d+|final|master|remaster(ed)?|mix ?down|\d+kbps)\b", " ", part)
    return " ".join(word for word in part.split() if not word.isdigit())
