"""Tags of an audio file, whatever the container, as plain words; and a caption made of them."""

import re
from pathlib import Path
from typing import Any

import mutagen

ID3_NAMES = {
    "TIT2": "title", "TPE1": "artist", "TALB": "album", "TCON": "genre", "TMOO": "mood",
    "TBPM": "bpm", "COMM": "comment", "WCOP": "licence",
}  # fmt: skip
MP4_NAMES = {
    "©nam": "title", "©ART": "artist", "©alb": "album", "©gen": "genre", "tmpo": "bpm",
    "©cmt": "comment", "desc": "description",
}  # fmt: skip
FREE_NAMES = {
    name: name
    for name in ("title", "artist", "album", "genre", "mood", "instrument", "bpm", "comment")
} | {
    "style": "genre", "instruments": "instrument", "instrumentation": "instrument",
    "tempo": "bpm", "description": "description", "license": "licence", "licence": "licence",
}  # fmt: skip
"""Names that Vorbis comments, ID3 ``TXXX`` and MP4 ``----`` use freely, in lower case."""
WORDLESS_GENRES = {"other", "unknown", "misc", "none", "genre", "music", "soundtrack"}
NO_DESCRIPTION = re.compile(
    r"https?:|www\.|\.(com|org|net)\b|@|©|copyright|licen[cs]e|all rights|\b(encoded|ripped|"
    r"downloaded|visit|encoder|lame|exact audio copy|created with|converted)\b",
    re.IGNORECASE,
)
"""Comments that tell how a file was made or where it is from, not how it sounds."""


def read_tags(path: Path) -> dict[str, list[str]]:
    """Map our names (``genre``, ``mood``, ``artist`` …) to the values found; empty if unreadable.

    Lyrics are never read: they say what is sung, not how it sounds.
    """
    try:
        file: Any = mutagen.File(path)  # pyright: ignore[reportPrivateImportUsage]
    except (mutagen.MutagenError, OSError):  # pyright: ignore[reportPrivateImportUsage]
        return {}
    found_tags: Any = getattr(file, "tags", None) or {}
    tags: dict[str, list[str]] = {}
    for key, value in sorted(found_tags.items()):
        name = _our_name(key, value)
        if name:
            tags.setdefault(name, []).extend(_texts(value))
    return {name: kept for name, found in tags.items() if (kept := _nonempty(found))}


def _our_name(key: str, value: Any) -> str | None:
    if key.startswith("TXXX:"):
        return FREE_NAMES.get(value.desc.lower())
    if key.startswith("----:"):
        return FREE_NAMES.get(key.rsplit(":", 1)[-1].lower())
    if key.startswith("COMM") and value.desc:  # described ones are iTunes' and rippers' numbers
        return None
    return ID3_NAMES.get(key[:4]) or MP4_NAMES.get(key) or FREE_NAMES.get(key.lower())


def _texts(value: Any) -> list[str]:
    """List the texts of an ID3 frame, an MP4 list (numbers and bytes among it) or a Vorbis list."""
    found = getattr(value, "genres", None) or getattr(value, "text", None)
    found = found or getattr(value, "url", None) or value
    values = found if isinstance(found, list) else [found]
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
    return [part for text in texts for part in text.split("\0")]


def _nonempty(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(stripped for text in texts if (stripped := text.strip())))


def tag_caption(tags: dict[str, list[str]]) -> str | None:
    """Join genre, mood, instruments, tempo and description with commas; None if there are none.

    The title stands in only when nothing says how the music sounds.

    >>> tag_caption({"genre": ["Orchestral"], "mood": ["Epic"], "bpm": ["120.4"], "title": ["X"]})
    'orchestral, epic, 120 bpm'
    """
    words = [w for name in ("genre", "mood", "instrument") for w in _words(tags.get(name, []))]
    words = [w for w in words if w not in WORDLESS_GENRES] + _tempo(tags.get("bpm", []))
    words += [text for text in tags.get("description", []) if _describes(text)]
    words += [text for text in tags.get("comment", []) if _describes(text)]
    return ", ".join(dict.fromkeys(words)) or next(iter(tags.get("title", [])), None)


def _words(values: list[str]) -> list[str]:
    return [w.strip().lower() for v in values for w in re.split(r"[/;,|]", v) if w.strip()]


def _tempo(values: list[str]) -> list[str]:
    numbers = [re.match(r"\d+(\.\d+)?", value) for value in values]
    return [f"{bpm} bpm" for n in numbers if n and 20 <= (bpm := round(float(n[0]))) <= 400][:1]


def _describes(comment: str) -> bool:
    letters = sum(character.isalpha() for character in comment)
    return (
        4 <= letters >= len(comment) / 2
        and len(comment) <= 300
        and not NO_DESCRIPTION.search(comment)
    )
