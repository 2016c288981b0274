"""Read descriptions of Suno clips, in the format of its API, from all JSON files below a folder.

A clip is an object with ``id``, ``title`` and, in ``metadata`` or beside it, ``tags`` (the style),
``gpt_description_prompt`` (the user's text), ``prompt`` (the lyrics) and ``make_instrumental`` (the
user's wish, not the result). A file may hold one clip, a list, or a page with lists.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import Rejected
from .files import display_path, files_below, stays_inside
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
    """Description of a clip; its lyrics are not kept."""

    id: str | None = None
    title: str | None = None
    artist: str | None = None
    style: str = ""
    user_text: str = ""
    has_lyrics: bool | None = None
    instrumental: bool | None = None


class ClipIndex:
    """All clips described below a folder, looked up by file name, id, or unique title."""

    def __init__(self, root: Path) -> None:
        self.rejected: list[Rejected] = []
        self.broken: set[Path] = set()
        self._by_path: dict[Path, ClipDescription] = {}
        self._by_id: dict[str, ClipDescription] = {}
        self._by_title: dict[str, list[ClipDescription]] = {}
        for path in files_below(root, {".json"}):
            self._add(path, root)

    def find(self, path: Path, uuid: str | None) -> ClipDescription | None:
        """Description of the clip in a sound file; None if there is none."""
        if clip := self._by_path.get(path.with_suffix(".json")):
            return clip
        if uuid:
            return self._by_id.get(uuid)
        titled = self._by_title.get(_title_key(path.stem), [])
        return titled[0] if len(titled) == 1 else None

    def _add(self, path: Path, root: Path) -> None:
        try:
            if not stays_inside(path, root):
                raise ValueError("a link that leads out of the folder")
            found = json.loads(path.read_text("utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
            self.broken.add(path)
            self.rejected.append(Rejected(display_path(path, root), f"sidecar not JSON: {error}"))
            return
        clips = [read_clip(values) for values in _clip_objects(found)]
        if len(clips) == 1:
            self._by_path[path] = clips[0]
        for clip in clips:
            if clip.id and clip.id not in self._by_id:
                self._by_id[clip.id] = clip
                self._by_title.setdefault(_title_key(clip.title or ""), []).append(clip)


def read_clip(values: dict[str, Any]) -> ClipDescription:
    """Read the description of a clip; of its lyrics only whether there are any."""
    metadata = values.get("metadata")
    known = values | (metadata if isinstance(metadata, dict) else {})
    lyrics = [known[key] for key in LYRICS if isinstance(known.get(key), str)]
    return ClipDescription(
        id=_first_text(values, ("id", "clip_id", "song_id")).lower() or None,
        title=_first_text(values, ("title",)) or None,
        artist=_first_text(known, ARTISTS) or None,
        style=_first_text(known, STYLES),
        user_text=_user_text(known, lyrics),
        has_lyrics=any(lyrics_have_words(text) for text in lyrics) if lyrics else None,
        instrumental=_instrumental(known),
    )


def _clip_objects(found: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict) and (CLIP_KEYS & found.keys()) and not _is_playlist(found):
        yield found
    elif isinstance(found, (dict, list)) and depth < MAX_DEPTH:
        for value in found.values() if isinstance(found, dict) else found:
            yield from _clip_objects(value, depth + 1)


def _is_playlist(found: dict[str, Any]) -> bool:
    """Whether the object is a playlist, which has a title too, and not a clip."""
    return any(isinstance(found.get(key), list) for key in ("clips", "playlist_clips", "songs"))


def _user_text(known: dict[str, Any], lyrics: list[str]) -> str:
    """The text that the user typed, unless it is the lyrics themselves."""
    text = " ".join(_first_text(known, ("gpt_description_prompt",)).split())
    return "" if text in (" ".join(sung.split()) for sung in lyrics) else text


def _instrumental(known: dict[str, Any]) -> bool | None:
    flags = [known[key] for key in INSTRUMENTAL if isinstance(known.get(key), bool)]
    if not flags and isinstance(known.get("has_vocal"), bool):
        flags = [not known["has_vocal"]]
    return flags[0] if flags else None


def _first_text(values: dict[str, Any], keys: tuple[str, ...]) -> str:
    """The first text, or joined list of texts, among the keys; empty if there is none."""
    for key in keys:
        found = values.get(key)
        if isinstance(found, list):
            found = ", ".join(word for word in found if isinstance(word, str))
        if isinstance(found, str) and found.strip():
            return found.strip()
    return ""


def _title_key(title: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFC", title).casefold()))
