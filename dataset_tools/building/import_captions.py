"""Import edited captions into a finished DATASET: ``dmm data captions import``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dmm.errors import InputError
from dmm.files import folder_lock, write_text

from ..captions.clean import without_anchor
from ..captions.edits import read_captions, read_edits, with_edits, write_edits
from ..dataset import Dataset, Row, content_sha256, read_built, read_dataset
from ..layout import SPLITS
from . import tables
from .copies import with_updated_copies


def import_captions(folder: Path, table: Path) -> int:
    """Write changed captions of a CSV table into a DATASET; returns the number of changed ones.

    Augmented copies follow their clip, and the clip that is mixed into them. InputError for a
    table or a clip that does not belong to the dataset, for the caption of a copy, and if another
    command writes to the dataset; then nothing is written.
    """
    read_built(folder)  # a folder that is no dataset gets no lock
    with folder_lock(folder):
        return _import(folder, table)


def _import(folder: Path, table: Path) -> int:
    dataset = read_dataset(folder)
    wanted, rows = read_captions(table), {row["id"]: row for row in dataset.rows}
    if unknown := [clip for clip in wanted if clip not in rows]:
        raise InputError(
            f"{table}: no clip {unknown[0][:60]!r} in {folder}; export its captions again"
        )
    edits = {
        clip: tidy
        for clip, caption in wanted.items()
        if (tidy := _without_anchor(dataset, rows[clip], caption)) != rows[clip]["caption"]
    }
    if copy := next((rows[clip] for clip in edits if rows[clip]["parent"]), None):
        raise InputError(
            f"{table}: {copy['id']!r} is an augmented copy, whose caption follows its original; "
            f"edit {copy['parent']!r}"
        )
    was_cut_short = dataset.built.get("content_sha256") != content_sha256(dataset.rows)
    if edits or was_cut_short:
        write_edits(folder, read_edits(folder) | edits)
        _write_captions_everywhere(dataset, edits)
    return len(edits)


def _without_anchor(dataset: Dataset, row: Row, caption: str) -> str:
    """A new caption for a clip, without the anchor of the clip's split."""
    return without_anchor(caption, dataset.anchor_for_split(row["split"]))[0]


def _write_captions_everywhere(dataset: Dataset, edits: Mapping[str, str]) -> None:
    """Write everything that holds captions; an import that is killed can be repeated.

    The manifest, which says what has changed, is written after the files made from it, then
    ``dataset.json``, whose hash shows that all is done.
    """
    folder, built = dataset.folder, dict[str, Any](dataset.built)
    anchors = {split: dataset.anchor_for_split(split) for split in SPLITS}
    rows = with_edits(dataset.rows, edits, anchors)
    rows = with_updated_copies(rows, edits, anchors["train"])
    tables.write_captions(folder, rows)
    tables.write_metadata(folder, rows, anchors)
    tables.write_manifest(folder, rows)
    built["content_sha256"] = content_sha256(rows)
    write_text(folder / "dataset.json", json.dumps(built, indent=1, ensure_ascii=False) + "\n")
