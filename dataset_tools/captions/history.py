"""Captions before and after cleaning, with the change made by each rule.

The captions of a CSV table are cleaned on reading; a built dataset has recorded the changes.
"""

import csv
import difflib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dmm.errors import InputError
from dmm.files import read_table, read_text

from .clean import Change
from .pipeline import prepare_caption

Edit = tuple[str, str]
"""("same", "removed" or "added", words joined by spaces)."""


@dataclass(frozen=True)
class CaptionHistory:
    """A caption before cleaning, after it, and the change made by each rule."""

    raw: str
    caption: str
    changes: list[Change]


def caption_histories(
    source: Path, *, anchor: str, keep_voice: bool, reduce: bool, column: str = "caption"
) -> Iterator[CaptionHistory]:
    """Yield the histories of all captions in a CSV table, or of the distinct ones in a dataset.

    ``anchor``, ``keep_voice``, ``reduce`` and ``column`` apply to tables only. InputError if a
    folder has no readable manifest or one of an older version, if a table is not CSV in UTF-8, or
    if it lacks the column or a cell of it.
    """
    if source.is_dir():
        yield from _histories_of_dataset(source)
        return
    for raw in _captions_in_column(source, column):
        caption, _, changes = prepare_caption(raw, anchor, keep_voice=keep_voice, reduce=reduce)
        yield CaptionHistory(raw, caption, changes)


def _histories_of_dataset(dataset: Path) -> Iterator[CaptionHistory]:
    """Yield the distinct caption_histories in a dataset's manifest."""
    path = dataset / "manifest.parquet"
    names = ["caption_raw", "caption", "caption_changes"]
    seen = set()
    for row in read_table(path, names).to_pylist():
        raw, caption, changes = (row.get(name) for name in names)
        if changes is None or not all(isinstance(change, dict) for change in changes):
            raise InputError(f"{path}: made by an older version; run `dmm data build` again")
        if (raw, caption) not in seen:
            seen.add((raw, caption))
            yield CaptionHistory(raw, caption, [Change(**change) for change in changes])


def _captions_in_column(table: Path, column: str) -> Iterator[str]:
    """Yield the cells of a CSV table's column."""
    try:
        reader = csv.DictReader(io.StringIO(read_text(table), newline=""))
        names = reader.fieldnames or []
        if column not in names:
            near = difflib.get_close_matches(column, names, n=1) or names[:5]
            known = " or ".join(name if name.isprintable() else repr(name) for name in near)[:200]
            raise InputError(f"{table}: no column {column!r}; --column {known}?")
        for row in reader:
            if row[column] is None:
                raise InputError(f"{table}, line {reader.line_num}: too few columns")
            yield row[column]
    except csv.Error as error:
        raise InputError(f"{table}: no CSV table ({error}); save it as CSV") from error


def word_edits(before: str, after: str) -> list[Edit]:
    """Compare two texts word by word; returns runs of words that stay, are removed or are added.

    >>> word_edits("slow sad piano", "slow piano, rain")
    [('same', 'slow'), ('removed', 'sad piano'), ('added', 'piano, rain')]
    """
    old, new = before.split(), after.split()
    edits: list[Edit] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            edits.append(("same", " ".join(old[a:b])))
            continue
        if b > a:
            edits.append(("removed", " ".join(old[a:b])))
        if d > c:
            edits.append(("added", " ".join(new[c:d])))
    return edits
