"""Count the tracks that clips were cut from: clips of one track are no independent evidence."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from dmm.errors import InputError
from dmm.files import read_table


def count_tracks(files: Sequence[Path]) -> int:
    """Number of distinct tracks, by the manifest of the DATASET that holds each clip.

    A file of another folder counts as a track of its own.
    """
    paths = (file.absolute() for file in files)
    return len({_track_by_clip_id(x.parent.parent).get(x.stem, str(x)) for x in paths})


@cache
def _track_by_clip_id(dataset: Path) -> dict[str, str]:
    """Track by clip ID; empty if the folder has no readable manifest."""
    try:
        rows = read_table(dataset / "manifest.parquet", ["id", "track"]).to_pylist()
    except InputError:
        return {}
    return {row["id"]: row["track"] for row in rows}
