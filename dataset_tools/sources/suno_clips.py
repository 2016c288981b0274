"""Read descriptions of Suno clips, in the format of its API, from all JSON files below a folder.

A clip is an object with at least one of the fields in ``CLIP_KEYS``: ``id``, ``title`` and, in
``metadata`` or beside it, ``tags`` (the style), ``gpt_description_prompt`` (the user's text),
``prompt`` (the lyrics) and ``make_instrumental`` (the user's wish, not the result). A file may hold
one clip, a list, or a page with lists.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmm.errors import InputError
from dmm.files import read_json
from dmm.files.paths import stays_inside

from . import Rejected
from .files import display_path, files_below
from .tags import lyrics_have_words

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
CLIP_KEYS = {"metadata", "tags", "style", "gpt_description_prompt", "prompt", "audio_url", "title"}
STYLES = ("tags", "style", "display_tags")
LYRICS = ("prompt", "lyrics", "lyric", "display_lyrics")
INSTRUMENTAL = ("make_instrumental", "instrumental", "is_instrumental")
ARTISTS = ("display_name", "artist", "handle")
MAX_DEPTH = 4
"""Levels of nested lists and objects in which clips are looked for."""


@dataclass(frozen=True)
class ClipDescription:
    """Facts about one clip; of its lyrics only whether they have words."""

    id: str | None = None
    title: str | None = None
    artist: str | None = None
    style: str = ""
    user_text: str = ""
    has_lyrics: bool | None = None
    instrumental: bool | None = None


class ClipIndex:
    """Descriptions of all clips below a folder, found by file name, id, or unique title.

    ``rejected`` and ``broken`` hold the files that are not JSON.
    """

    def __init__(self, root: Path) -> None:
        self.rejected: list[Rejected] = []
        self.broken: set[Path] = set()
        self._by_path: dict[Path, ClipDescription] = {}
        self._by_id: dict[str, ClipDescription] = {}
        self._by_title: dict[str, list[ClipDescription]] = {}
        for path in files_below(root, {".json"}):
            self._add_file(path, root)

    def find_description(self, path: Path, uuid: str | None) -> ClipDescription | None:
        """Find the description of the clip in a sound file; None if there is none.

        The first that exists: the JSON file of the same name, the clip with the id ``uuid``, the
        only clip with the file's name as its title and without another id.
        """
        if clip := self._by_path.get(path.with_suffix(".json")):
            return clip
        if uuid and (clip := self._by_id.get(uuid)):
            return clip
        titled = self._by_title.get(_title_key(path.stem), [])
        if uuid:
            titled = [clip for clip in titled if clip.id is None]
        return titled[0] if len(titled) == 1 else None

    def _add_file(self, path: Path, root: Path) -> None:
        """Read the clips that a JSON file describes; a file that is no JSON is rejected."""
        try:
            if not stays_inside(path, root):
                raise InputError(f"{path}: a link that leads out of the folder")
            content = read_json(path, Any)
        except InputError as error:
            self.broken.add(path)
            reason = str(error).removeprefix(f"{path}: ")
            self.rejected.append(Rejected(display_path(path, root), f"sidecar not JSON: {reason}"))
            return
        clips = [clip_description(values) for values in _clip_objects(content)]
        if len(clips) == 1:
            self._by_path[path] = clips[0]
        for clip in clips:
            if clip.id and self._by_id.setdefault(clip.id, clip) is not clip:
                continue
            titled = self._by_title.setdefault(_title_key(clip.title or ""), [])
            if clip not in titled:
                titled.append(clip)


def clip_description(values: dict[str, Any]) -> ClipDescription:
    """Read the description of a clip from its JSON object."""
    metadata = values.get("metadata")
    fields = values | (metadata if isinstance(metadata, dict) else {})
    lyrics = [fields[key] for key in LYRICS if isinstance(fields.get(key), str)]
    return ClipDescription(
        id=_first_text(values, ("id", "clip_id", "song_id")).lower() or None,
        title=_first_text(values, ("title",)) or None,
        artist=_first_text(fields, ARTISTS) or None,
        style=_first_text(fields, STYLES),
        user_text=_user_text(fields, lyrics),
        has_lyrics=any(lyrics_have_words(text) for text in lyrics) if lyrics else None,
        instrumental=_instrumental_flag(fields),
    )


def _clip_objects(content: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the objects in JSON content that describe clips, at most ``MAX_DEPTH`` levels deep."""
    if isinstance(content, dict) and (CLIP_KEYS & content.keys()) and not _is_playlist(content):
        yield content
    elif isinstance(content, (dict, list)) and depth < MAX_DEPTH:
        for value in content.values() if isinstance(content, dict) else content:
            yield from _clip_objects(value, depth + 1)


def _is_playlist(values: dict[str, Any]) -> bool:
    """Whether an object is a playlist, which may have a clip's fields, such as a title."""
    return any(isinstance(values.get(key), list) for key in ("clips", "playlist_clips", "songs"))


def _user_text(fields: dict[str, Any], lyrics: list[str]) -> str:
    """The description that the user typed; empty if it is missing or equal to the lyrics."""
    text = " ".join(_first_text(fields, ("gpt_description_prompt",)).split())
    return "" if text in (" ".join(sung.split()) for sung in lyrics) else text


def _instrumental_flag(fields: dict[str, Any]) -> bool | None:
    """The flag for instrumental music, or the opposite of ``has_vocal``; None without both."""
    flags = [fields[key] for key in INSTRUMENTAL if isinstance(fields.get(key), bool)]
    if not flags and isinstance(fields.get("has_vocal"), bool):
        flags = [not fields["has_vocal"]]
    return flags[0] if flags else None


def _first_text(values: dict[str, Any], keys: tuple[str, ...]) -> str:
    """The first text among the values of these keys, lists joined by commas; empty without one."""
    for key in keys:
        value = values.get(key)
        if isinstance(value, list):
            value = ", ".join(word for word in value if isinstance(word, str))
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _title_key(title: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFC", title).casefold()))
