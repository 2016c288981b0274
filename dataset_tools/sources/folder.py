"""Source ``folder``, any audio files: ``dmm data build --source folder --input DIR``.

A file's caption comes from the first of these that has words: ``NAME.txt`` beside it (UTF-8), its
tags, the title in its tags, its own and its folders' names. Example: ``wesnoth/battle.ogg`` with
the tag genre=Orchestral has the caption "orchestral", origin "tags".
"""

import re
from collections.abc import Iterator
from pathlib import Path

from dmm.errors import InputError
from dmm.files import read_text
from dmm.files.paths import stays_inside
from dmm.sound.decoding import AUDIO_SUFFIXES

from . import CaptionOrigin, Rejected, SourceRequest, Track, track_id
from .files import (
    audio_files_and_refusals,
    checked_file_sha256,
    checked_folder,
    display_path,
    make_file_stream,
)
from .tags import caption_from_tags, file_has_lyrics, read_tags, title_from_tags

NAMELESS = {
    "music", "audio", "sound", "sounds", "songs", "tracks", "untitled", "media",
}  # fmt: skip
"""Folder and file names that do not describe music."""
WORDLESS = re.compile(
    r"\b((track|music|audio|sound) ?\d+|track|v\d+|final|master|remaster(ed)?|mix ?down|\d+kbps)\b"
)
"""Words of names that do not describe music."""
NO_ARTIST = {"various artists", "various", "unknown artist", "unknown", "va", "n/a"}


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield a track, or a refusal, for every audio file below ``request.input``, sorted by path.

    InputError if it is not a folder, or holds no audio file.
    """
    root = checked_folder(request.input)
    known = " ".join(sorted(AUDIO_SUFFIXES))
    paths, unread = audio_files_and_refusals(root, f"put some there ({known})")
    yield from unread
    for path in paths:
        yield _track_or_refusal(path, root, request.licence)


def _track_or_refusal(path: Path, root: Path, licence: str | None) -> Track | Rejected:
    """A track of an audio file, with caption and licence, or the reason to refuse it."""
    name = display_path(path, root)
    try:
        sha256 = checked_file_sha256(path, root)
        tags = read_tags(path)
        caption, origin = _caption_and_origin(path, root, tags)
    except OSError as error:
        return Rejected(name, f"unreadable: {error.strerror}")
    except InputError as error:
        return Rejected(name, str(error))
    first = {key: values[0] for key, values in tags.items()}
    return Track(
        id=track_id(str(Path(name).with_suffix("")), sha256),
        source="folder",
        input=name,
        caption=caption,
        caption_origin=origin,
        sha256=sha256,
        stream=make_file_stream(path),
        title=title_from_tags(tags, path.stem),
        artist=artist_unless_placeholder(first.get("artist")),
        album=first.get("album"),
        licence=first.get("licence", licence),
        has_lyrics=file_has_lyrics(path),
    )


def artist_unless_placeholder(artist: str | None) -> str | None:
    """Return the artist; None for names such as "various artists"."""
    return artist if artist and artist.lower() not in NO_ARTIST else None


def _caption_and_origin(
    path: Path, root: Path, tags: dict[str, list[str]]
) -> tuple[str, CaptionOrigin]:
    """Caption and its origin; InputError for a ``NAME.txt`` that cannot be read."""
    found: dict[CaptionOrigin, str | None] = {
        "sidecar": _sidecar_text(path, root),
        "tags": caption_from_tags(tags),
        "title": title_from_tags(tags, path.stem),
    }
    for origin, text in found.items():
        if text and any(character.isalnum() for character in text):
            return text, origin
    return caption_from_path(display_path(path, root)), "rule"


def _sidecar_text(path: Path, root: Path) -> str | None:
    """Text of the file's ``NAME.txt``; None without one, InputError if it cannot be read."""
    sidecar = path.with_suffix(".txt")
    if not (stays_inside(sidecar, root) and sidecar.exists()):
        return None
    try:
        return read_text(sidecar).strip()
    except InputError as error:
        reason = str(error).removeprefix(f"{sidecar}: ")
        raise InputError(f"unreadable caption: {sidecar.name}: {reason}") from error


def caption_from_path(name: str) -> str:
    """Caption made of a file's path, folders first; "music" if it has no words.

    >>> caption_from_path("lo-fi_beats/music/03 - RainyNight_v2.mp3")
    'lo fi beats, rainy night'
    """
    parts = [_name_words(part) for part in Path(name).with_suffix("").parts]
    return (
        ", ".join(dict.fromkeys(part for part in parts if part and part not in NAMELESS)) or "music"
    )


def _name_words(part: str) -> str:
    """The words of a file's or folder's name, without numbers and words such as "final"."""
    part = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part)  # camelCase
    part = re.sub(r"[_\W]+", " ", part).lower()
    part = WORDLESS.sub(" ", part)
    return " ".join(word for word in part.split() if not word.isdigit())
