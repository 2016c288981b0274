"""Check caption files and ``metadata.jsonl``: equal to the manifest, and usable in training."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from dmm.errors import InputError
from dmm.files import decode_text, read_bytes, read_jsonl

from ..captions.clean import SEPARATOR, full_prompt
from ..captions.edits import EDITED
from ..dataset import Dataset, Row
from ..finding import EDIT_AGAIN, REBUILD, Finding
from ..layout import SPLITS

MAX_TOKENS = 77
"""Tokens that CLIP reads, with start and end; further ones are ignored."""
REWORD = "correct the caption at its source and build again"


def check_caption(dataset: Dataset, row: Row) -> Iterator[Finding]:
    """Find faults of a clip's caption, and of its caption file."""
    where = f"{row['split']}/{row['id']}.txt"
    if wrong := _caption_file_fault(dataset.folder / where, row["caption"]):
        yield Finding("caption file", where, wrong, REBUILD)
    for what in _caption_faults(row["caption"], dataset.anchor_for_split(row["split"])):
        yield Finding("caption", where, what, rewording(row, REWORD))
    if row["tokens"] is not None and row["tokens"] > MAX_TOKENS:
        what = f"{row['tokens']} tokens with its anchor; a text encoder reads {MAX_TOKENS}"
        yield Finding("tokens", where, what, "shorten the anchor, or build with --captions reduce")


def rewording(row: Row, otherwise: str) -> str:
    """The remedy for words of a clip's caption: ``otherwise`` unless they were edited by hand."""
    return EDIT_AGAIN if row["caption_origin"] == EDITED else otherwise


def _caption_file_fault(path: Path, caption: str) -> str | None:
    """The fault of a caption file, if it has one."""
    if not path.exists():
        return "missing"
    try:
        content = read_bytes(path)
        text = decode_text(content, path)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ").split("; ")[0]
    if len(text.splitlines()) > 1:
        return "more than one line: sd-scripts reads the first only"
    same = content.strip(b"\n") == caption.encode()  # sd-scripts keeps a byte order mark
    return None if same else "not the manifest's caption"


def _caption_faults(caption: str, anchor: str) -> Iterator[str]:
    """Yield the faults of a caption's text."""
    if not caption.strip():
        yield "empty caption"
    if len(caption.splitlines()) > 1:
        yield "the caption has more than one line"
    if SEPARATOR in caption:
        yield f"the caption holds the separator {SEPARATOR!r}: what follows it would stay in place"
    if "<|" in caption:
        yield "the caption holds '<|': the tokeniser may take what follows for the end of the text"
    if anchor and anchor.casefold() in caption.casefold():
        yield f"the caption repeats the anchor {anchor!r}, which training puts in front itself"


def check_metadata(dataset: Dataset, rows: Sequence[Row]) -> Iterator[Finding]:
    """Find ``metadata.jsonl`` files that do not have exactly the prompts of their split's clips."""
    for split in SPLITS:
        anchor = dataset.anchor_for_split(split)
        expected = {
            f"{row['id']}.png": full_prompt(anchor, row["caption"])
            for row in rows
            if row["split"] == split
        }
        path = dataset.folder / split / "metadata.jsonl"
        if wrong := _metadata_fault(path, expected):
            yield Finding("metadata", f"{split}/metadata.jsonl", wrong, REBUILD)


class _MetadataLine(BaseModel):
    """A line of ``metadata.jsonl``."""

    file_name: str
    text: str


def _metadata_fault(path: Path, expected: dict[str, str]) -> str | None:
    """The fault of a ``metadata.jsonl``, if it has one."""
    if not path.is_file():
        return "missing: images would load without their captions" if expected else None
    try:
        lines = read_jsonl(path, _MetadataLine)
    except InputError:
        return "damaged: a line is no JSON object with file_name and text"
    texts = {line.file_name: line.text for line in lines}
    if len(texts) < len(lines):
        return "names a file twice"
    for name in sorted(expected.keys() | texts.keys()):
        if name not in texts:
            return f"does not name {name}"
        if name not in expected:
            return f"names {name}, which is not in the manifest"
        if texts[name] != expected[name]:
            return f"has another text for {name} than anchor and caption"
    return None
