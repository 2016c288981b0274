"""Write the files that describe a dataset: manifest, captions, refusals, sd-scripts' config."""

import json
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dmm.codec.mel import load_format
from dmm.files import read_bytes, whole_file, write_text

from ..captions.clean import SEPARATOR, caption_prefix, full_prompt
from ..layout import SPLITS
from ..manifest_schema import SCHEMA
from ..regularisation import too_few_reg
from ..sources import Rejected
from .options import BuildOptions


def write_manifest(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``manifest.parquet``: a row a clip, tracks in the source's order."""
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), buffer)
    with whole_file(folder / "manifest.parquet") as partial:
        partial.write_bytes(buffer.getvalue().to_pybytes())


def write_captions(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write every clip's caption to ``ID.txt``; files that already hold it are not touched."""
    for row in rows:
        path = folder / row["split"] / f"{row['id']}.txt"
        text = row["caption"] + "\n"
        if not path.is_file() or read_bytes(path) != text.encode():
            write_text(path, text)


def write_metadata(
    folder: Path, rows: Sequence[dict[str, Any]], anchors: Mapping[str, str]
) -> None:
    """Write each split's ``metadata.jsonl``, for ``load_dataset("imagefolder", data_dir=...)``.

    The file of a split without clips is removed. The library ignores a single file above the splits
    without a warning (datasets 5.2): images would load without captions.
    """
    for split in SPLITS:
        clips = [row for row in rows if row["split"] == split]
        texts = [(f"{row['id']}.png", full_prompt(anchors[split], row["caption"])) for row in clips]
        path = folder / split / "metadata.jsonl"
        if texts:
            _write_jsonl(path, [{"file_name": name, "text": text} for name, text in texts])
        else:
            path.unlink(missing_ok=True)


def write_rejected(folder: Path, rejected: Sequence[Rejected]) -> None:
    """Write ``rejected.jsonl``: input, reason, and for a single window where it begins."""
    _write_jsonl(folder / "rejected.jsonl", [vars(r) for r in rejected])


def _write_jsonl(path: Path, values: list[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


def write_kohya_config(folder: Path, rows: Sequence[dict[str, Any]], options: BuildOptions) -> None:
    """Write ``dataset.toml``, with a regularisation subset if the dataset has such clips."""
    n_train, n_reg = (sum(row["split"] == place for row in rows) for place in ("train", "reg"))
    write_text(folder / "dataset.toml", kohya_config_toml(options, n_train, n_reg))


def kohya_config_toml(options: BuildOptions, n_train: int, n_reg: int) -> str:
    """Compose ``dataset.toml``, without batch size and validation, which the trainer sets.

    sd-scripts uses one regularisation clip for every training clip, and repeats or ignores some to
    do so. Training clips are therefore repeated until all regularisation clips are used. If there
    are so few that each would be used far too often, the regularisation subset is left out.
    """
    too_few = too_few_reg(n_train, n_reg, options.reg_repeats)
    repeats = options.repeats or max(1, ceil(n_reg * options.reg_repeats / max(1, n_train)))
    fmt = load_format(options.format)
    lines = [
        "# sd-scripts dataset config. image_dir is relative to this file: `dmm train` makes it",
        "# absolute; sd-scripts itself takes it as relative to where it is started.",
        "[general]",
        'caption_extension = ".txt"',
        "shuffle_caption = true",
        'caption_separator = ","',
        f'keep_tokens_separator = "{SEPARATOR}"',
        f'# Without shuffle_caption "{SEPARATOR}" would be read as words: put "," in the prefixes.',
        "flip_aug = false  # time would run backwards",
        "random_crop = false",
        "color_aug = false",
        "",
        "[[datasets]]",
        f"resolution = [{fmt.n_frames}, {fmt.n_mels}]  # width, height",
        "enable_bucket = false",
        *_subset_lines("train", options.anchor_for_split("train"), repeats),
    ]
    if too_few:
        lines += ["", f"# reg/ is not used: {too_few}."]
    elif n_reg:
        lines += [
            *_subset_lines("reg", options.anchor_for_split("reg"), options.reg_repeats),
            "is_reg = true",
        ]
    return "\n".join(lines) + "\n"


def _subset_lines(folder: str, anchor: str, repeats: int) -> list[str]:
    prefix = caption_prefix(anchor)
    lines = ["", "[[datasets.subsets]]", f'image_dir = "{folder}"', f"num_repeats = {repeats}"]
    return lines + [f"caption_prefix = {json.dumps(prefix, ensure_ascii=False)}"] * bool(prefix)
