"""Source ``sdd``, the Song Describer Dataset: ``dmm data build --source sdd --input DIR``.

URL: https://zenodo.org/records/10072001 (Manco et al. 2023, https://arxiv.org/abs/2311.10057);
``dmm data fetch sdd --out DIR`` downloads it. Licence: captions CC BY-SA 4.0, each track its own
Creative Commons licence, in ``audio_licenses.txt``. Size: 1,106 captions of 706 tracks, 3.3 GB of
two-minute MP3s; version 1.0.0 of 2023-11-16. Its authors offer it for evaluation: a model trained
on it must not be scored on it.

The folder holds ``song_describer.csv`` and ``audio/NN/ID.2min.mp3``. Example row: caption_id 859,
track_id 1004034, caption "Electronic music that has a constant melody …", is_valid_subset True,
familiarity 0, artist_id 368880, album_id 118196, path 34/1004034.mp3, duration 202.5.

``is_valid_subset`` is True (reviewers found the caption valid: 746, of 547 tracks), False (28) or
empty (not reviewed: 332). All are used, unless ``valid_only`` is set.
"""

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dmm.errors import InputError
from dmm.files import read_text
from dmm.files.paths import path_inside
from dmm.sound.decoding import AUDIO_SUFFIXES

from . import Rejected, SourceRequest, Track, track_id
from .files import checked_file_sha256, checked_folder, display_path, make_file_stream
from .jamendo import TrackNames, read_licences_and_pages, read_name_table, read_tag_table

COLUMNS = (
    "caption_id", "track_id", "caption", "is_valid_subset", "familiarity", "artist_id", "album_id",
    "path", "duration",
)  # fmt: skip
TABLE = "song_describer.csv"
AUDIO_FOLDERS = ("audio", "audio/audio", ".")
"""Folders of the sound: as downloaded, as its instructions unpack it, as ``path`` alone says."""

Row = dict[str, str]


@dataclass
class TrackTables:
    """Tags, names, licences and web pages from the files beside the captions, by track number."""

    tags: dict[int, tuple[str, ...]] = field(default_factory=dict)
    names: dict[int, TrackNames] = field(default_factory=dict)
    licences: dict[int, str] = field(default_factory=dict)
    pages: dict[int, str] = field(default_factory=dict)


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield the refused rows, then a track for each track_id with a caption, in the table's order.

    A track's first caption is ``Track.caption``, the others are ``more_captions``. InputError if
    there is no table, or a column is missing.
    """
    root = checked_folder(request.input)
    tables = _read_track_tables(root, request.tags)
    rows, rejected = _separate_usable_rows(
        _read_table(_caption_table_path(root)), valid_only=request.valid_only
    )
    yield from rejected
    by_track: dict[int, list[Row]] = {}
    for row in rows:
        by_track.setdefault(int(row["track_id"]), []).append(row)
    for number, track_rows in by_track.items():
        yield _track_or_refusal(root, number, track_rows, tables, request.licence)


def _caption_table_path(root: Path) -> Path:
    """Path of the table of captions: by its own name, or the only CSV file."""
    found = [root / TABLE] if (root / TABLE).is_file() else sorted(root.glob("*.csv"))
    if len(found) != 1:
        names = f" but {', '.join(path.name for path in found)}" if found else ""
        raise InputError(f"{root} holds no {TABLE}{names}; get it by: dmm data fetch sdd --out DIR")
    return found[0]


def _read_table(path: Path) -> list[list[str]]:
    """Read the cells of all rows, in the order of ``COLUMNS``; InputError names missing columns."""
    try:
        header, *rows = [*csv.reader(io.StringIO(read_text(path), newline=""))] or [[]]
    except csv.Error as error:
        raise InputError(f"{path}: no table of captions ({error}); get it again") from error
    if missing := [name for name in COLUMNS if name not in header]:
        spare = [name for name in header if name not in COLUMNS]
        raise InputError(
            f"{path.name}: {'; '.join(_missing_column_message(name, spare) for name in missing)}"
        )
    order = [header.index(name) for name in COLUMNS]
    return [[row[i] if i < len(row) else "" for i in order] for row in rows if any(row)]


def _missing_column_message(name: str, spare: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, spare, n=1, cutoff=0.4)
    return f"no column {name!r}" + (f" (nearest: {nearest[0]!r}; rename it)" if nearest else "")


def _separate_usable_rows(
    cells: list[list[str]], *, valid_only: bool
) -> tuple[list[Row], list[Rejected]]:
    """Separate usable rows from refused ones; with ``valid_only`` other rows are skipped."""
    rows: list[Row] = []
    rejected: list[Rejected] = []
    seen: set[str] = set()
    paths: dict[int, str] = {}
    for n, texts in enumerate(cells, start=1):
        row: Row = dict(zip(COLUMNS, texts, strict=True))
        if valid_only and row["is_valid_subset"].lower() != "true":
            continue
        if reason := _row_refusal(row, seen, paths):
            name = f"caption {row['caption_id']}" if row["caption_id"] else f"row {n}"
            rejected.append(Rejected(name, reason))
        else:
            rows.append(row)
            seen.add(row["caption_id"])
            paths.setdefault(int(row["track_id"]), row["path"])
    return rows, rejected


def _row_refusal(row: Row, seen: set[str], paths: dict[int, str]) -> str | None:
    """The reason to refuse a row of captions, if there is one."""
    track = row["track_id"]
    if not (track.isascii() and track.isdigit() and row["path"] and row["caption_id"]):
        return f"damaged row: caption_id {row['caption_id']!r}, track_id {track!r}, {row['path']!r}"
    if row["caption_id"] in seen:
        return f"duplicate caption id: {row['caption_id']} stands above already; the first is used"
    if not row["caption"].strip():
        return f"no caption: of track {track}"
    if (first := paths.get(int(track), row["path"])) != row["path"]:
        return f"two paths: track {track} is {first!r} above, here {row['path']!r}"
    return None


def _track_or_refusal(
    root: Path, number: int, rows: list[Row], tables: TrackTables, licence: str | None
) -> Track | Rejected:
    """The track of a number with all its captions, or the reason to refuse it."""
    first, *others = rows
    path = _audio_path_or_reason(root, first["path"])
    if isinstance(path, str):
        return Rejected(first["path"], path)
    try:
        sha256 = checked_file_sha256(path, root)
    except InputError as error:
        return Rejected(display_path(path, root), str(error))
    names = tables.names.get(number)
    return Track(
        id=track_id(f"sdd-{number}", sha256),
        source="sdd",
        input=display_path(path, root),
        caption=first["caption"].strip(),
        caption_origin="table",
        sha256=sha256,
        stream=make_file_stream(path),
        title=names.title if names else None,
        artist=names.artist if names else first["artist_id"] or None,
        album=names.album if names else first["album_id"] or None,
        licence=tables.licences.get(number, licence),
        more_captions=tuple(row["caption"].strip() for row in others),
        tags=tables.tags.get(number, ()),
        url=tables.pages.get(number, names.url if names else None),
    )


def _audio_path_or_reason(root: Path, name: str) -> Path | str:
    """Path of the sound for a path such as ``34/1004034.mp3``, or the reason why there is none."""
    name = name.replace("\\", "/")
    if path_inside(name, root) is None:
        return "path leaves the folder: a track's path must lie below the input folder"
    plain = Path(name).with_suffix("")
    stems = [plain.with_name(f"{plain.name}.2min"), plain]
    suffixes = dict.fromkeys([Path(name).suffix, ".mp3", *sorted(AUDIO_SUFFIXES)])
    for folder in AUDIO_FOLDERS:
        for stem in stems:
            for suffix in suffixes:
                path = root / folder / f"{stem}{suffix}"
                if path.is_file() or path.is_symlink():
                    return path
    return f"no audio: expected audio/{stems[0]}.mp3"


def _read_track_tables(root: Path, tags: Path | None) -> TrackTables:
    """Read the files beside the captions, all of which are optional, and ``tags``, which is not."""
    tables = TrackTables()
    if tags := tags or next(iter(sorted(root.glob("*mtg-jamendo.tsv"))), None):
        tables.tags = read_tag_table(tags)
    if (names := root / "audio_metadata.tsv").is_file():
        tables.names = read_name_table(names)
    if (licences := root / "audio_licenses.txt").is_file():
        tables.licences, tables.pages = read_licences_and_pages(licences)
    return tables
