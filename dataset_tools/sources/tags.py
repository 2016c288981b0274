"""Read an audio file's tags in any format under common names, and make a caption of them."""

import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import mutagen

ID3_NAMES = {
    "TIT2": "title", "TPE1": "artist", "TALB": "album", "TCON": "genre", "TMOO": "mood",
    "TBPM": "bpm", "COMM": "comment", "WCOP": "licence", "WOAS": "url",
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
    "suno_id": "suno_id", "suno_url": "url",
}  # fmt: skip
"""Lower-case keys of Vorbis comments, ID3 ``TXXX`` and MP4 ``----``, and their common names."""
LYRICS = re.compile(r"USLT|SYLT|©lyr|(TXXX:|----:.*:|^).*lyric(?!ist)", re.IGNORECASE)
"""Keys of lyrics in ID3, MP4 and Vorbis comments."""
NO_LYRICS_LINES = {"instrumental", "no lyrics", "no vocals", "no vocal", "none", "n a"}
MEANINGLESS_WORDS = {
    "other", "unknown", "misc", "none", "genre", "music", "soundtrack", "game", "games",
    "game music", "video game", "video game music",
}  # fmt: skip
NO_DESCRIPTION = re.compile(
    r"https?:|www\.|\.(com|org|net)\b|@|©|copyright|licen[cs]e|all rights|\b(encoded|ripped|"
    r"downloaded|visit|encoder|lame|exact audio copy|created with|made with|converted)\b",
    re.IGNORECASE,
)
"""Matches comments on a file's making or origin, which say nothing about its sound."""


def read_tags(path: Path) -> dict[str, list[str]]:
    """Map common names (``genre``, ``mood``, ``artist`` …) to distinct values.

    Empty for an unreadable file. Lyrics and tags without a common name are left out.
    """
    tags: dict[str, list[str]] = {}
    for key, value in _container_tags(path):
        name = _common_tag_name(key, value)
        if name:
            tags.setdefault(name, []).extend(_tag_texts(value))
    return {name: kept for name, found in tags.items() if (kept := _distinct_nonempty(found))}


def file_has_lyrics(path: Path) -> bool | None:
    """Whether a file's tags hold lyrics with words; None if it has no tag for lyrics."""
    lyrics_texts = [
        text
        for key, value in _container_tags(path)
        if LYRICS.search(key)
        for text in _tag_texts(value)
    ]
    return any(lyrics_have_words(text) for text in lyrics_texts) if lyrics_texts else None


def lyrics_have_words(lyrics: str) -> bool:
    r"""Whether lyrics hold words, not only marks such as ``[Instrumental]`` or ``[Verse 1]``.

    >>> lyrics_have_words("[Intro]\n(Instrumental)"), lyrics_have_words("[Verse]\nHello")
    (False, True)
    """
    lines = re.sub(r"\[[^]]*\]", "\n", lyrics).lower().splitlines()
    words = {" ".join(re.findall(r"\w+", line)) for line in lines}
    return any(re.search(r"[^\W\d_]", line) for line in words - NO_LYRICS_LINES)


def _container_tags(path: Path) -> list[tuple[str, Any]]:
    """(key, value) pairs as the container has them, sorted by key."""
    try:
        file: Any = mutagen.File(path)  # pyright: ignore[reportPrivateImportUsage]
    except (mutagen.MutagenError, OSError):  # pyright: ignore[reportPrivateImportUsage]
        return []
    # For a repeated key of Vorbis comments, items() has the list once for each value.
    return sorted(dict((getattr(file, "tags", None) or {}).items()).items())


def _common_tag_name(key: str, value: Any) -> str | None:
    """The common name of a container's key; None if it is not used."""
    if key.startswith("TXXX:"):
        return FREE_NAMES.get(value.desc.lower())
    if key.startswith("----:"):
        return FREE_NAMES.get(key.rsplit(":", 1)[-1].lower())
    if (
        key.startswith("COMM") and value.desc
    ):  # comments with a description hold numbers of iTunes and rippers
        return None
    return ID3_NAMES.get(key[:4]) or MP4_NAMES.get(key) or FREE_NAMES.get(key.lower())


def _tag_texts(value: Any) -> list[str]:
    """Values of a tag as texts: of an ID3 frame, or of an MP4 or Vorbis list."""
    content = getattr(value, "genres", None) or getattr(value, "text", None)
    content = content or getattr(value, "url", None) or value
    values = content if isinstance(content, list) else [content]
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
    return [part for text in texts for part in text.split("\0")]


def _distinct_nonempty(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(stripped for text in texts if (stripped := text.strip())))


def title_from_tags(tags: dict[str, list[str]], stem: str) -> str | None:
    """The title in a file's tags; of several, the one most like the file's name.

    >>> title_from_tags({"title": ["Living Caves", "Crossroads", "Icy Lands"]}, "hr3-icyland")
    'Icy Lands'
    """
    titles = tags.get("title", [])
    likeness = [SequenceMatcher(None, stem.lower(), title.lower()).ratio() for title in titles]
    return titles[likeness.index(max(likeness))] if titles else None


def caption_from_tags(tags: dict[str, list[str]]) -> str | None:
    """Join genre, mood, instruments, tempo, description and comment; None without any of them.

    >>> caption_from_tags({"genre": ["Orchestral"], "mood": ["Epic"], "bpm": ["120.4"]})
    'orchestral, epic, 120 bpm'
    """
    words = [
        w for name in ("genre", "mood", "instrument") for w in _lowercase_parts(tags.get(name, []))
    ]
    words = [w for w in words if w not in MEANINGLESS_WORDS] + _tempo_words(tags.get("bpm", []))
    words += [text for text in tags.get("description", []) if _describes_sound(text)]
    words += [text for text in tags.get("comment", []) if _describes_sound(text)]
    return ", ".join(dict.fromkeys(words)) or None


def _lowercase_parts(values: list[str]) -> list[str]:
    return [w.strip().lower() for v in values for w in re.split(r"[/;,|]", v) if w.strip()]


def _tempo_words(values: list[str]) -> list[str]:
    numbers = [re.match(r"\d+(\.\d+)?", value) for value in values]
    return [f"{bpm} bpm" for n in numbers if n and 20 <= (bpm := round(float(n[0]))) <= 400][:1]


def _describes_sound(comment: str) -> bool:
    """Whether a comment may describe the sound: short, mostly letters, nothing about origin."""
    letters = sum(character.isalpha() for character in comment)
    return (
        4 <= letters >= len(comment) / 2
        and len(comment) <= 300
        and not NO_DESCRIPTION.search(comment)
    )
