"""Collect the manifest's facts about one clip; read its sound and its coloured image."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from dmm.codec.image import read_image
from dmm.errors import InputError
from dmm.files import parse_json
from dmm.pages import coloured_png

from ..dataset import Dataset, Row

QUALITY = ("loudness_lufs", "peak_db", "gain_db", "clipped", "dc", "silence", "bandwidth_hz")


@dataclass(frozen=True)
class ClipRecord:
    """A clip's row, with its JSON columns parsed, its prompt, and the other clips of its track."""

    row: Row
    prompt: str
    """Anchor and caption: the prompt for the clip of a model trained on the dataset."""
    facets: dict[str, dict[str, float]]
    evidence: dict[str, int]
    """Labelling function to its vote: 1 (vocal), -1 (instrumental) or 0 (no opinion)."""
    description: dict[str, Any]
    """Facts about the track's sound, as in ``Description``; empty if it was not described."""
    augmentation: Any
    relatives: list[Row]
    """The other clips of its track, in order of time."""

    @property
    def relative_stem(self) -> str:
        """Path of its files below the dataset, without a suffix."""
        return f"{self.row['split']}/{self.row['id']}"

    @property
    def quality(self) -> dict[str, float]:
        """Measurements of the sound."""
        return {name: self.row[name] for name in QUALITY if self.row[name] is not None}


def find_clip(rows: Sequence[Row], wanted: str) -> Row:
    """Find a clip by its whole id or a prefix that no other has; InputError names similar ids."""
    matches = [row for row in rows if row["id"].startswith(wanted)]
    exact = [row for row in matches if row["id"] == wanted]
    if len(exact or matches) == 1:
        return (exact or matches)[0]
    ids = [row["id"] for row in matches or rows]
    if matches:
        raise InputError(
            f"{len(ids)} clips begin with {wanted!r}: {', '.join(ids[:3])}, ...; write more of it"
        )
    nearest = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.3) or ids[:3]
    raise InputError(f"no clip {wanted!r}; the nearest: {', '.join(nearest)}")


def collect_clip_record(dataset: Dataset, wanted: str) -> ClipRecord:
    """Collect a clip's row, prompt and relatives; ``wanted`` and errors are as in ``find_clip``."""
    from ..captions.clean import full_prompt

    row = find_clip(dataset.rows, wanted)
    relatives = [
        other
        for other in dataset.rows
        if other["track"] == row["track"] and other["id"] != row["id"]
    ]
    return ClipRecord(
        row=row,
        prompt=full_prompt(dataset.anchor_for_split(row["split"]), row["caption"]),
        facets=parse_json(row["facets"] or "{}", "facets"),
        evidence=parse_json(row["vocal_evidence"] or "{}", "vocal_evidence"),
        description=parse_json(row["description"] or "{}", "description"),
        augmentation=parse_json(row["augmentation"] or "null", "augmentation", Any),
        relatives=sorted(relatives, key=lambda other: (other["start_s"], other["id"])),
    )


def word_changes(before: str, after: str) -> list[tuple[str, str]]:
    """Compare two texts: ("=", "-" or "+", piece) for pieces that stayed, were removed, or added.

    >>> word_changes("slow piano, soft vocals", "slow piano")
    [('=', 'slow piano'), ('-', ', soft vocals')]
    """
    old, new = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (before, after))
    pieces = []
    for kind, i, j, k, n in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        changed = [("=", old[i:j])] if kind == "equal" else [("-", old[i:j]), ("+", new[k:n])]
        pieces += [(sign, "".join(words)) for sign, words in changed if words]
    return pieces


def original_or_decoded_sound(
    dataset: Dataset, details: ClipRecord
) -> tuple[Float[np.ndarray, "channels samples"], bool]:
    """Sound of a clip at the format's rate, and whether it is the original.

    Test clips have a sound file; the sound of all others is decoded from the image.
    """
    from dmm.codec.decode import decode
    from dmm.sound.audio import read_audio

    flac = dataset.folder / f"{details.relative_stem}.flac"
    if flac.is_file():
        channels = 2 if dataset.built["options"].get("stereo") else 1
        return read_audio(flac, dataset.fmt.sr, channels), True
    image, fmt = read_image(dataset.folder / f"{details.relative_stem}.png")
    return decode(image, fmt), False


def read_coloured_png(path: Path) -> bytes:
    """Read a mel image as PNG bytes: grey ones are coloured, stereo ones stay as they are."""
    image, fmt = read_image(path)
    return coloured_png(Image.fromarray(image), dark_is_loud=fmt.level_scale == "power")
