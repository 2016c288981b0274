"""Source ``suno``, a folder of clips downloaded from Suno: ``dmm data build --source suno``.

URL: https://suno.com; the licence depends on the user's plan, so name it with --licence. Captions
come from JSON beside the sound, in the format of the service's API, and from the files' tags. A
download without JSON has title, artist, lyrics, a link and ``made with suno; created=…; id=…``. The
caption is the style and the description that the user typed, never the lyrics, which the API calls
``prompt``; only whether a clip has lyrics is used. Titles and .txt files are not used as captions,
because they are about the lyrics.

Example: ``Rain.mp3`` with ``Rain.json`` {"id": "6c8a…", "metadata": {"tags": "lo-fi, piano",
"gpt_description_prompt": "a rainy evening"}} has the caption "lo-fi, piano, a rainy evening".
"""

import re
from collections.abc import Iterator
from pathlib import Path

from dmm.errors import InputError

from . import Rejected, SourceRequest, Track, track_id
from .files import (
    audio_files_and_refusals,
    checked_file_sha256,
    checked_folder,
    display_path,
    make_file_stream,
)
from .folder import artist_unless_placeholder
from .suno_clips import UUID, ClipDescription, ClipIndex
from .tags import caption_from_tags, file_has_lyrics, read_tags

SONG = "https://suno.com/song/"
FALLBACK_CAPTION = "music"
"""Caption of a clip without style and description."""


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield a track, or a refusal, for every clip below ``request.input``, sorted by path.

    InputError if there is no audio file.
    """
    root = checked_folder(request.input)
    paths, unread = audio_files_and_refusals(root, "put the downloaded clips there")
    index = ClipIndex(root)
    yield from unread
    yield from index.rejected
    for path in paths:
        yield _track_or_refusal(path, root, index, request.licence)


def _track_or_refusal(
    path: Path, root: Path, index: ClipIndex, licence: str | None
) -> Track | Rejected:
    """The track of a downloaded clip, or the reason to refuse it."""
    name = display_path(path, root)
    if path.with_suffix(".json") in index.broken:
        return Rejected(name, f"sidecar not JSON: {path.stem}.json; mend or remove it")
    try:
        sha256 = checked_file_sha256(path, root)
    except InputError as error:
        return Rejected(name, str(error))
    tags = read_tags(path)
    uuid = _find_uuid(path, tags)
    clip = index.find_description(path, uuid) or ClipDescription(id=uuid)
    lyrics = [known for known in (clip.has_lyrics, file_has_lyrics(path)) if known is not None]
    style = clip.style or _style_from_tags(tags)
    caption = ", ".join(words for words in (style, clip.user_text) if words)
    url = f"{SONG}{clip.id}" if clip.id and UUID.fullmatch(clip.id) else None
    return Track(
        id=track_id(str(Path(name).with_suffix("")), sha256),
        source="suno",
        input=name,
        caption=caption or FALLBACK_CAPTION,
        caption_origin=("sidecar" if clip.style or clip.user_text else "tags")
        if caption
        else "rule",
        sha256=sha256,
        stream=make_file_stream(path),
        title=clip.title or _first_tag(tags, "title"),
        artist=clip.artist or artist_unless_placeholder(_first_tag(tags, "artist")),
        album=_first_tag(tags, "album"),
        licence=_first_tag(tags, "licence") or licence,
        tags=tuple(
            dict.fromkeys(word for w in re.split(r"[,;|/\n]", style) if (word := w.strip()))
        ),
        has_lyrics=any(lyrics) if lyrics else None,
        instrumental=clip.instrumental,
        url=url or _first_tag(tags, "url"),
    )


def _find_uuid(path: Path, tags: dict[str, list[str]]) -> str | None:
    """The clip's id, from the tags (a download has it in a comment) or from the file's name."""
    texts = [
        text for key in ("suno_id", "url", "comment", "description") for text in tags.get(key, ())
    ]
    found = [match[0].lower() for text in [*texts, path.stem] if (match := UUID.search(text))]
    return found[0] if found else None


def _style_from_tags(tags: dict[str, list[str]]) -> str:
    """Join the tags about the sound; free text of several lines is skipped, as it may be lyrics."""
    sounds = {key: tags[key] for key in ("genre", "mood", "instrument", "bpm") if key in tags}
    sounds["description"] = [text for text in tags.get("description", ()) if "\n" not in text]
    return caption_from_tags(sounds) or ""


def _first_tag(tags: dict[str, list[str]], name: str) -> str | None:
    return next(iter(tags.get(name, ())), None)
