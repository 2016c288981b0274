"""The files that describe a dataset: manifest, ImageFolder texts, refusals, sd-scripts config."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dmm.files import whole_file, write_text
from dmm.mel import MelFormat

from .captions import SEPARATOR, caption_prefix, prompt
from .sources import Rejected
from .splits import SPLITS

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("track", pa.string()),
        ("title", pa.string()),
        ("artist", pa.string()),
        ("album", pa.string()),
        ("start_s", pa.float64()),
        ("split", pa.string()),
        ("caption_raw", pa.string()),
        ("caption", pa.string()),
        ("caption_origin", pa.string()),
        ("caption_changes", pa.list_(pa.string())),
        ("licence", pa.string()),
        ("loudness_lufs", pa.float64()),
        ("vocal_probability", pa.float64()),
        ("sha256", pa.string()),
        ("track_sha256", pa.string()),
        ("truth", pa.string()),
    ]
)
"""``sha256`` is of the image; ``truth`` is JSON; ``vocal_probability`` is not filled here."""


def write_manifest(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``manifest.parquet``: a row a clip, tracks in the source's order."""
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), buffer)
    with whole_file(out / "manifest.parquet") as partial:
        partial.write_bytes(buffer.getvalue().to_pybytes())


def write_metadata(out: Path, rows: Sequence[dict[str, Any]], anchor: str) -> None:
    """Write each split's ``metadata.jsonl``, for ``load_dataset("imagefolder", data_dir=...)``.

    One file above the splits would be ignored without a word (datasets 5.2): the images would
    load, the captions would not.
    """
    for split in SPLITS:
        mine = [row for row in rows if row["split"] == split]
        texts = [(f"{row['id']}.png", prompt(anchor, row["caption"])) for row in mine]
        path = out / split / "metadata.jsonl"
        if texts:
            _write_jsonl(path, [{"file_name": name, "text": text} for name, text in texts])
        else:
            path.unlink(missing_ok=True)


def write_rejected(out: Path, rejected: Sequence[Rejected]) -> None:
    """Write ``rejected.jsonl``: input, reason, and where if only a window was refused."""
    _write_jsonl(out / "rejected.jsonl", [vars(r) for r in rejected])


def _write_jsonl(path: Path, values: list[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


def content_sha256(rows: Sequence[dict[str, Any]]) -> str:
    """Hash all clips: their ids, splits, captions and images."""
    lines = sorted(json.dumps([r["id"], r["split"], r["caption"], r["sha256"]]) for r in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def write_kohya_config(out: Path, fmt: MelFormat, anchor: str) -> None:
    """Write ``dataset.toml``; ``reg/`` becomes the regularisation subset where it has images."""
    write_text(
        out / "dataset.toml", kohya_config(fmt, anchor, reg=any((out / "reg").glob("*.png")))
    )


def kohya_config(fmt: MelFormat, anchor: str, *, reg: bool) -> str:
    """Compose ``dataset.toml``; batch size and validation are the trainer's business."""
    prefix = caption_prefix(anchor)
    lines = [
        "# sd-scripts dataset config. image_dir is relative to this file: `dmm train` makes it",
        "# absolute; sd-scripts itself takes it as relative to where it is started.",
        "[general]",
        'caption_extension = ".txt"',
        "shuffle_caption = true",
        'caption_separator = ","',
    ]
    if prefix:
        lines += [
            f'# Without shuffle_caption "{SEPARATOR}" would be read as words: put "," there.',
            f"caption_prefix = {json.dumps(prefix, ensure_ascii=False)}",
            f'keep_tokens_separator = "{SEPARATOR}"',
        ]
    lines += [
        "flip_aug = false  # time would run backwards",
        "random_crop = false",
        "color_aug = false",
        "",
        "[[datasets]]",
        f"resolution = [{fmt.n_frames}, {fmt.n_mels}]  # width, height",
        "enable_bucket = false",
        *_subset("train"),
        *(_subset("reg", "is_reg = true") if reg else []),
    ]
    return "\n".join(lines) + "\n"


def _subset(folder: str, *more: str) -> list[str]:
    return ["", "[[datasets.subsets]]", f'image_dir = "{folder}"', "num_repeats = 1", *more]
