"""Find leaks between training, validation and test: shared tracks, artists, albums or images.

There are three sides: training (``train`` and ``reg``), ``val`` and ``test``. ``splits.py`` keeps
them apart; this module checks the result from the manifest's rows alone, so that the build and
``dmm data check`` notice a mistake there.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from .dataset import Row
from .finding import REBUILD, Finding

SIDES = {"train": "train", "reg": "train", "val": "val", "test": "test"}
"""Split to side; regularisation clips are used in training too."""


def leak_messages(rows: Sequence[Row], grouped_by: str = "artist") -> list[str]:
    """List the leaks of ``find_leaks``, each as one line."""
    return [str(finding) for finding in find_leaks(rows, grouped_by)]


def find_leaks(rows: Sequence[Row], grouped_by: str = "artist") -> list[Finding]:
    """Find tracks, files, images, copies, artists and albums on more than one side.

    ``grouped_by`` is the unit that the splits keep together: "artist", "album" or "track". With
    "track", one artist's music may be on two sides.
    """
    found = [
        *_shared_names("track", rows, lambda row: row["track"]),
        *_shared_names("source file", rows, lambda row: row["track_sha256"]),
        *_shared_names("picture", rows, lambda row: row["sha256"]),
        *_copies_on_other_sides(rows),
    ]
    if grouped_by == "artist":
        found += _shared_names("artist", rows, _artist)
        found += _shared_names("album", rows, lambda row: None if row["artist"] else _album(row))
    if grouped_by == "album":
        found += _shared_names("album", rows, _album)
    return found


def _artist(row: Row) -> str | None:
    return row["artist"] and row["artist"].casefold()


def _album(row: Row) -> str | None:
    return row["album"] and row["album"].casefold()


def _shared_names(
    kind: str, rows: Iterable[Row], name_of: Callable[[Row], str | None]
) -> Iterable[Finding]:
    """Find names that occur on more than one side; rows without a name are ignored."""
    clips: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        if name := name_of(row):
            clips[name].setdefault(_side_of_split(row["split"]), _clip_path(row))
    for name, first in sorted(clips.items()):
        if len(first) > 1:
            where = " and ".join(sorted(first.values()))
            yield Finding("leak", f"{kind} {name}", f"on both sides: {where}", REBUILD)


def _copies_on_other_sides(rows: Sequence[Row]) -> Iterable[Finding]:
    """Find augmented copies on another side than the clip they were made from."""
    split_of: dict[str | None, str] = {row["id"]: row["split"] for row in rows}
    for row in rows:
        split, parent = row["split"], split_of.get(row["parent"])
        if parent and _side_of_split(parent) != _side_of_split(split):
            what = f"made from {parent}/{row['parent']}, which is on another side"
            yield Finding("leak", _clip_path(row), what, REBUILD)


def _side_of_split(split: str) -> str:
    return SIDES.get(split, split)


def _clip_path(row: Row) -> str:
    return f"{row['split']}/{row['id']}"
