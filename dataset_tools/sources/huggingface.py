"""Source ``huggingface``, datasets of sound and text: ``dmm data build --source huggingface``.

``--input`` is a Parquet file, a folder of them, an AudioFolder (sound files and ``metadata.csv``,
``.jsonl`` or ``.parquet`` with a column ``file_name``), or the name of a dataset on the Hub
(https://huggingface.co/datasets; licence, size and date are on its card). All splits are read, and
split again by the build. Rows are read one at a time. Sound is read a second time when clips are
cut: from the files, from the row of the Parquet file, or for the Hub from a local cache.

Example row: {"audio": {"bytes": b"fLaC…", "path": "rain.flac"}, "text": "a rainy evening, piano"}
has the caption "a rainy evening, piano", origin "table".
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dmm.errors import DmmError, InputError
from dmm.sound.decoding import AUDIO_SUFFIXES

from . import Rejected, SourceRequest, Track, track_id
from .files import files_below
from .parquet import parquet_rows
from .row_sound import SourceRow, UnusableRow, Values, find_row_sound
from .tags import lyrics_have_words

CAPTIONS = ("text", "caption", "captions", "description", "descriptions", "main_caption")
AUDIO = ("audio", "file", "path", "file_name")
LICENCES = ("licence", "license")
HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
MISSING = "Hugging Face datasets need an extra package: pip install -e '.[huggingface]'"


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield the refused rows, then a track for each sound in the dataset's order.

    Rows with the same sound become one track with several captions. InputError if no column holds
    captions, or none holds sound.
    """
    if request.input is None:
        raise InputError("name a Parquet file, an AudioFolder or a dataset on the Hub (--input)")
    found: dict[str, Track] = {}
    for row in _source_rows(request.input):
        try:
            track = _track_of_row(row, request)
        except UnusableRow as error:
            yield Rejected(row.name, str(error))
            continue
        first = found.setdefault(track.sha256, track)
        if first is not track:
            more = (*first.more_captions, track.caption, *track.more_captions)
            found[track.sha256] = replace(first, more_captions=more)
    yield from found.values()


def _source_rows(source: Path) -> Iterator[SourceRow]:
    """Yield the rows of Parquet files, of an AudioFolder, or of a dataset on the Hub."""
    if source.is_file() or (source.is_dir() and not files_below(source, AUDIO_SUFFIXES)):
        files = [source] if source.is_file() else files_below(source, {".parquet"})
        if not files:
            raise InputError(f"{source} holds neither sound nor Parquet files; check --input")
        for path in files:
            for number, values in parquet_rows(path):
                yield SourceRow(f"{path.name} row {number}", values, path, number)
    elif source.is_dir() or HUB_NAME.fullmatch(source.as_posix()):
        yield from _stream_rows(source)
    else:
        raise InputError(f"{source} does not exist; check --input")


def _stream_rows(source: Path) -> Iterator[SourceRow]:
    """Stream an AudioFolder, or a dataset on the Hub, through the ``datasets`` library."""
    try:
        import datasets
    except ImportError as error:
        raise InputError(MISSING) from error
    try:
        splits: Any = (
            datasets.load_dataset("audiofolder", data_dir=str(source), streaming=True)
            if source.is_dir()
            else datasets.load_dataset(source.as_posix(), streaming=True)
        )
    except (OSError, ValueError, RuntimeError) as error:  # offline, unknown, gated, a script
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{source}: no such folder, and not readable from the Hub ({reason})"
        ) from error
    for split in sorted(splits):
        yield from _rows_of_split(split, splits[split])


def _rows_of_split(split: str, data: Any) -> Iterator[SourceRow]:
    """Yield the rows of one split, with the names of its classes."""
    import datasets

    features = data.features or {}
    for column, kind in features.items():
        if isinstance(kind, datasets.Audio):
            data = _without_decoding(data, column)
    classes = {c: kind for c, kind in features.items() if isinstance(kind, datasets.ClassLabel)}
    try:
        for number, values in enumerate(data):
            named = {
                c: kind.int2str(values[c]) for c, kind in classes.items() if values[c] is not None
            }
            yield SourceRow(f"{split} row {number}", values | named)
    except (OSError, ValueError) as error:
        raise DmmError(f"{split}: reading broke off ({error}); run again to go on") from error


def _without_decoding(data: Any, column: str) -> Any:
    """Return the data with a column's sound as bytes or path, not decoded by torchcodec."""
    import datasets

    undecoded = data.cast_column(column, datasets.Audio(decode=False))
    try:
        next(iter(undecoded), None)
    except ImportError:  # datasets 5.0 needs torchcodec even to return a path
        return data.cast_column(column, datasets.Value("binary"))
    return undecoded


def _track_of_row(row: SourceRow, request: SourceRequest) -> Track:
    """The track of a row; UnusableRow if it has no caption or no sound."""
    captions = _row_captions(row.values, request.caption_column)
    column = _audio_column_name(row.values)
    name, sha256, stream = find_row_sound(row, column, request.input)
    values = row.values
    return Track(
        id=track_id(Path(name).stem, sha256),
        source="huggingface",
        input=f"{row.name}: {name}",
        caption=captions[0],
        caption_origin="table",
        sha256=sha256,
        stream=stream,
        title=_first_nonempty_text(values, ("title",)),
        artist=_first_nonempty_text(values, ("artist", "artist_name", "artist_id")),
        album=_first_nonempty_text(values, ("album", "album_id")),
        licence=_first_nonempty_text(values, LICENCES) or request.licence,
        more_captions=captions[1:],
        tags=tuple(_list_of_words(values.get("tags"))),
        has_lyrics=lyrics_have_words(values["lyrics"])
        if isinstance(values.get("lyrics"), str)
        else None,
        instrumental=flag if isinstance(flag := values.get("instrumental"), bool) else None,
        url=_first_nonempty_text(values, ("url", "track_url")),
    )


def _row_captions(values: Values, wanted: str | None) -> tuple[str, ...]:
    """Captions of a row; InputError if no column can hold any, UnusableRow if it has none."""
    column = wanted or next((name for name in CAPTIONS if name in values), None)
    if column not in values:
        names = ", ".join(values)
        raise InputError(f"no column of captions {wanted or ''!r} among {names}; --caption-column")
    found = values[column]
    texts = found if isinstance(found, list) else [found]
    captions = tuple(t.strip() for t in texts if isinstance(t, str) and t.strip())
    if not captions:
        raise UnusableRow(f"no caption: column {column!r} is empty")
    return captions


def _audio_column_name(values: Values) -> str:
    """Name of the column with sound; UnusableRow if this row has none, InputError without one."""
    held = [name for name, value in values.items() if isinstance(value, dict) and "bytes" in value]
    found = held or [name for name in AUDIO if isinstance(values.get(name), (str, bytes))]
    if not found and any(value is None for value in values.values()):
        raise UnusableRow("no sound: this row has none")
    if not found:
        raise InputError(f"no column of sound among {', '.join(values)}; name it 'audio'")
    return found[0]


def _first_nonempty_text(values: Values, names: tuple[str, ...]) -> str | None:
    """The first value among ``names`` that is a non-empty text or a number, as text; or None."""
    found = [values[name] for name in names if isinstance(values.get(name), (str, int))]
    return next((word for value in found if (word := str(value).strip())), None)


def _list_of_words(value: Any) -> list[str]:
    words = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else []
    return [word.strip() for word in words if isinstance(word, str) and word.strip()]
