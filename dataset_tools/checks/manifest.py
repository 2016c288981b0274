"""Check the manifest's rows: against ``dataset.json``, each other, and the values allowed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from dmm.errors import InputError
from dmm.files import parse_json

from ..dataset import Row, content_sha256
from ..finding import REBUILD, Finding
from ..layout import SPLITS

NEVER_NULL = ("id", "source", "track", "split", "start_s", "caption", "sha256", "track_sha256")
JSON_COLUMNS = ("facets", "vocal_evidence", "augmentation", "truth")


def check_manifest(built: dict[str, Any], rows: Sequence[Row]) -> Iterator[Finding]:
    """Find rows that contradict ``dataset.json``, each other, or the values that are allowed.

    Where a required value is missing, nothing else is checked.
    """
    blanks = list(_missing_values(rows))
    yield from blanks
    if blanks:
        return
    yield from _wrong_counts_or_hash(built, rows)
    yield from _conflicting_ids(rows)
    yield from _invalid_values(rows)
    yield from _misplaced_copies(rows)


def _missing_values(rows: Sequence[Row]) -> Iterator[Finding]:
    """Find empty cells of columns that may not be empty, and an empty manifest."""
    if not rows:
        yield Finding("manifest", "manifest.parquet", "not one clip", REBUILD)
    for number, row in enumerate(rows):
        for name in NEVER_NULL:
            if row[name] is None:
                where = f"manifest.parquet row {number}"
                yield Finding("manifest", where, f"{name} is missing", REBUILD)


def _wrong_counts_or_hash(built: dict[str, Any], rows: Sequence[Row]) -> Iterator[Finding]:
    """Find a number of clips or a content hash that differs from ``dataset.json``."""
    counted = Counter(row["split"] for row in rows)
    promised = {split: n for split, n in built.get("clips", {}).items() if n}
    if promised != counted:
        what = f"promises clips {promised}, the manifest has {dict(counted)}"
        yield Finding("content", "dataset.json", what, REBUILD)
    elif built.get("content_sha256") != content_sha256(rows):
        what = "its content_sha256 is not that of the manifest, which was changed after the build"
        yield Finding("content", "dataset.json", what, REBUILD)


def _conflicting_ids(rows: Sequence[Row]) -> Iterator[Finding]:
    """Find ids that occur twice or are a prefix of another: sd-scripts finds latents by prefix."""
    for before, after in pairwise(sorted(row["id"] for row in rows)):
        if before == after:
            yield Finding("id", before, "two clips bear this id", REBUILD)
        elif after.startswith(before):
            what = f"is the beginning of {after}: cached latents would be mixed up"
            yield Finding("id", before, what, REBUILD)


def _invalid_values(rows: Sequence[Row]) -> Iterator[Finding]:
    """Find unknown splits, probabilities outside 0..1 and damaged JSON."""
    for row in rows:
        where = f"{row['split']}/{row['id']}"
        if row["split"] not in SPLITS:
            yield Finding("manifest", where, f"no split {row['split']!r}", REBUILD)
        for name in ("vocal_probability", "vocal_window"):
            if row[name] is not None and not 0 <= row[name] <= 1:
                what = f"{name} {row[name]:g} is outside 0..1"
                yield Finding("manifest", where, what, REBUILD)
        for name in JSON_COLUMNS:
            if row[name] is not None and not _is_json(row[name]):
                yield Finding("manifest", where, f"{name} is no JSON", REBUILD)


def _is_json(text: str) -> bool:
    try:
        parse_json(text, "column", Any)
    except InputError:
        return False
    return True


def _misplaced_copies(rows: Sequence[Row]) -> Iterator[Finding]:
    """Find augmented clips outside ``train``, and those not made from a clip of ``train``."""
    split_of = {row["id"]: row["split"] for row in rows}
    for row in rows:
        if wrong := _copy_fault(row, split_of):
            yield Finding("augmentation", f"{row['split']}/{row['id']}", wrong, REBUILD)


def _copy_fault(row: Row, split_of: dict[str, str]) -> str | None:
    """The fault in a row's split and parent, if it has one."""
    parent = row["parent"]
    if row["augmentation"] is not None and row["split"] != "train":
        return "augmented, but not for training"
    if row["augmentation"] is not None and parent is None:
        return "augmented, but names no parent"
    if parent is not None and parent not in split_of:
        return f"made from {parent}, which is not in the manifest"
    if parent is not None and split_of[parent] != "train":
        return f"made from {split_of[parent]}/{parent}, not from a clip of train/"
    return None
