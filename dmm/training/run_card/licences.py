"""Licences of the music that a LoRA learnt from, their conditions, and the LoRA's own licence."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ...checkpoints.published import PUBLISHED_BASES
from ...files import read_table

UNKNOWN = "unknown"
TRAINED_SPLITS = ("train", "reg")
"""Splits that the LoRA is trained on."""
FREE = re.compile(r"\bcc0\b|publicdomain|public domain", re.IGNORECASE)
CONDITIONS = {
    "no commercial use": re.compile(r"\bnc\b|non-?\s?commercial", re.IGNORECASE),
    "no derivatives": re.compile(r"\bnd\b|no-?\s?deriv", re.IGNORECASE),
    "derivatives only under the same licence": re.compile(r"\bsa\b|share-?\s?alike", re.IGNORECASE),
}
"""Condition to the pattern by which a licence's name or address shows it."""


def count_licences(dataset: Path) -> dict[str, int]:
    """Number of trained clips per licence, highest first; ``unknown`` for clips without one.

    Counts the train and reg splits in ``manifest.parquet``; empty for a folder without one.
    """
    path = dataset / "manifest.parquet"
    if not path.is_file():
        return {}
    rows = read_table(path, ["licence", "split"]).to_pylist()
    counts = Counter(
        " ".join((row["licence"] or UNKNOWN).split()) or UNKNOWN
        for row in rows
        if row["split"] in TRAINED_SPLITS
    )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def licence_conditions(licence: str) -> list[str]:
    """Conditions on works made from the music, as far as a licence's name or address shows them.

    >>> licence_conditions("https://creativecommons.org/licenses/by-nc-sa/4.0/")
    ['no commercial use', 'derivatives only under the same licence']
    """
    return [words for words, pattern in CONDITIONS.items() if pattern.search(licence)]


def lora_licence(base_sha256: str | None, clip_counts: Mapping[str, int]) -> str | None:
    """The LoRA's licence if it follows from base and music; None if its maker has to decide.

    It follows only for a published base with music that is all free of conditions: then the base's
    own licence applies. ``clip_counts`` are those of ``count_licences``.
    """
    base = PUBLISHED_BASES.get(base_sha256 or "")
    free = bool(clip_counts) and all(FREE.search(licence) for licence in clip_counts)
    return base.licence if base and free else None
