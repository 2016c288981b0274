"""A folder of clips downloaded from Suno: ``dmm data build --source suno --input DIR``.

URL: https://suno.com; licence: by the user's plan, so name it (--licence). Words come from JSON
beside the sound, as the service's API gives it, and from the files' tags. A bare download bears
title, artist, lyrics, a link and ``made with suno; created=…; id=…``. The caption is the style and
the description that were typed in, never the lyrics, which the API calls ``prompt``: of them only
whether there are any is read. Titles and .txt files are no captions here: they tell what is sung.

Example row: ``Rain.mp3`` with ``Rain.json`` {"id": "6c8a…", "metadata": {"tags": "lo-fi, piano",
"gpt_description_prompt": "a rainy evening"}} gives "lo-fi, piano, a rainy evening".
"""

import re
from collections.abc import Iterator
from pathlib import Path

from dmm.errors import InputError

from . import Rejected, SourceRequest, Track, track_id
from .files import audio_files, file_sha256, file_stream, linked_folders, shown, source_folder
from .folder import named_artist
from .suno_clips import UUID, Clip, ClipIndex
from .tags import has_lyrics, read_tags, tag_caption

SONG = "https://suno.com/song/"
WORDLESS = "music"
"""The caption where neither style nor description is known."""


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield every clip below ``request.input``, sorted by path, and what is refused."""
    root = source_folder(request.input)
    paths = audio_files(root)
    if not paths:
        raise InputError(f"{root} holds no audio file; put the downloaded clips there")
    index = ClipIndex(root)
    yield from linked_folders(root)
    yield from index.rejected
    for path in paths:
        yield _track(path, root, index, request.licence)


def _track(path: Path, root: Path, index: ClipIndex, licence: str | None) -> Track | Rejected:
    name = shown(path, root)
    if path.with_suffix(".json") in index.broken:
        return Rejected(name, f"sidecar not JSON: {path.stem}.json; mend or remove it")
    try:
        sha256 = file_sha256(path, root)
    except InputError as error:
        return Rejected(name, str(error))
    tags = read_tags(path)
    uuid = _uuid(path, tags)
    clip = index.find(path, uuid) or Clip(id=uuid)
    lyrics = [known for known in (clip.has_lyrics, has_lyrics(path)) if known is not None]
    style = clip.style or _style(tags)
    caption = ", ".join(words for words in (style, clip.description) if words)
    url = f"{SONG}{clip.id}" if clip.id and UUID.fullmatch(clip.id) else None
    return Track(
        id=track_id(str(Path(name).with_suffix("")), sha256),
        source="suno",
        input=name,
        caption=caption or WORDLESS,
        caption_origin=("sidecar" if clip.style or clip.description else "tags")
        if caption
        else "rule",
        sha256=sha256,
        stream=file_stream(path),
        title=clip.title or _first(tags, "title"),
        artist=clip.artist or named_artist(_first(tags, "artist")),
        album=_first(tags, "album"),
        licence=_first(tags, "licence") or licence,
        tags=tuple(
            dict.fromkeys(word for w in re.split(r"[,;|/\n]", style) if (word := w.strip()))
        ),
        has_lyrics=any(lyrics) if lyrics else None,
        instrumental=clip.instrumental,
        url=url or _first(tags, "url"),
    )


def _uuid(path: Path, tags: dict[str, list[str]]) -> str | None:
    """Find the clip's id: in the tags, where a download has it in a comment, or the file's name."""
    texts = [
        text for key in ("suno_id", "url", "comment", "description") for text in tags.get(key, ())
    ]
    found = [match[0].lower() for text in [*texts, path.stem] if (match := UUID.search(text))]
    return found[0] if found else None


def _style(tags: dict[str, list[str]]) -> str:
    """Join the tags that tell how it sounds; of free text only one line, lest it be lyrics."""
    sounds = {key: tags[key] for key in ("genre", "mood", "instrument", "bpm") if key in tags}
    sounds["description"] = [text for text in tags.get("description", ()) if "\n" not in text]
    return tag_caption(sounds) or ""


def _first(tags: dict[str, list[str]], name: str) -> str | None:
    return next(iter(tags.get(name, ())), None)
