"""Captions edited by hand: exported as a CSV table, imported again, kept by every later build.

``captions.csv`` in the DATASET folder holds the edited captions by clip id. A build applies them
after its own rules.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dmm.errors import InputError
from dmm.files import read_text, write_text

from .clean import clean, full_prompt, without_anchor
from .tokens import count_tokens, fit_to_token_limit

FILE = "captions.csv"
COLUMNS = ("id", "caption", "origin")
EDITED = "edited"
"""Origin of a caption that a person wrote into the table."""
Row = dict[str, Any]


def captions_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV text with a line for each clip: its id, caption, and the caption's origin.

    Augmented copies are left out, because they follow their clip.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    originals = (row for row in rows if not row.get("parent"))
    writer.writerows([row["id"], row["caption"], row["caption_origin"]] for row in originals)
    return text.getvalue()


def read_captions(path: Path) -> dict[str, str]:
    """Read captions by clip id from a CSV file, and clean them; InputError names a bad line."""
    found: dict[str, str] = {}
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        if missing := [name for name in COLUMNS[:2] if name not in (reader.fieldnames or [])]:
            raise InputError(
                f"{path}: no column {missing[0]!r}; export a table: dmm data captions export"
            )
        for row in reader:
            where, clip, caption = f"{path}, line {reader.line_num}", row["id"], row["caption"]
            tidy = clean(caption or "")[0]
            if not clip or not tidy:
                raise InputError(f"{where}: id or caption is empty; write a caption")
            if clip in found:
                raise InputError(f"{where}: clip {clip[:60]!r} stands there twice; keep one line")
            found[clip] = tidy
    except csv.Error as error:
        raise InputError(f"{path}: no CSV table ({error}); save it as CSV") from error
    return found


def read_edits(dataset: Path) -> dict[str, str]:
    """Read the edited captions of a DATASET by clip id; empty without edits."""
    path = dataset / FILE
    return read_captions(path) if path.is_file() else {}


def write_edits(dataset: Path, edits: Mapping[str, str]) -> None:
    """Write the edited captions to the DATASET's ``captions.csv``, sorted by clip id."""
    rows = [
        {"id": clip, "caption": caption, "caption_origin": EDITED}
        for clip, caption in sorted(edits.items())
    ]
    write_text(dataset / FILE, captions_table(rows))


def with_edits(
    rows: Sequence[Row], edits: Mapping[str, str], anchors: Mapping[str, str]
) -> list[Row]:
    """Return manifest rows with the edited captions, without the anchor and cut to 77 tokens.

    ``anchors`` are by split.
    """
    return [
        _with_edit(row, edits[row["id"]], anchors[row["split"]]) if row["id"] in edits else row
        for row in rows
    ]


def _with_edit(row: Row, caption: str, anchor: str) -> Row:
    caption = without_anchor(caption, anchor)[0]
    fitted, dropped = fit_to_token_limit(anchor, caption)
    change = {"rule": EDITED, "before": row["caption"], "after": caption}
    return row | {
        "caption": fitted,
        "caption_origin": EDITED,
        "caption_changes": [*row["caption_changes"], change, *map(vars, dropped)],
        "tokens": count_tokens(full_prompt(anchor, fitted)),
    }
