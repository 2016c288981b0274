"""Whose music a LoRA learnt from: a dataset's licences, and what they leave to say of the LoRA."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

UNKNOWN = "unknown"
LEARNT_FROM = ("train", "reg")
"""Splits whose clips change the weights."""
FREE = re.compile(r"\bcc0\b|publicdomain|public domain", re.IGNORECASE)
FORBIDS = {
    "no commercial use": re.compile(r"\bnc\b|non-?\s?commercial", re.IGNORECASE),
    "no derivatives": re.compile(r"\bnd\b|no-?\s?deriv", re.IGNORECASE),
    "derivatives only under the same licence": re.compile(r"\bsa\b|share-?\s?alike", re.IGNORECASE),
}
"""What a licence may demand, and how its name or address says so."""


@dataclass(frozen=True)
class Base:
    """A published checkpoint that is known by its hash."""

    hub_id: str
    licence: str
    """As the Hub spells it."""


BASES = {
    "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b": Base(
        "stabilityai/stable-diffusion-xl-base-1.0", "openrail++"
    ),
    "6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa": Base(
        "stable-diffusion-v1-5/stable-diffusion-v1-5", "creativeml-openrail-m"
    ),
}
"""By SHA-256: sd_xl_base_1.0.safetensors and v1-5-pruned-emaonly.safetensors, as published."""


def licences(dataset: Path) -> dict[str, int]:
    """Clips that a LoRA learns from, by licence, most first; those without one are ``unknown``.

    Counts the train and reg splits in ``manifest.parquet``; empty for a folder without one.
    """
    import pyarrow.parquet as pq

    path = dataset / "manifest.parquet"
    if not path.is_file():
        return {}
    rows = pq.read_table(path, columns=["licence", "split"]).to_pylist()
    counts = Counter(
        " ".join((row["licence"] or UNKNOWN).split()) or UNKNOWN
        for row in rows
        if row["split"] in LEARNT_FROM
    )
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def demands(licence: str) -> list[str]:
    """What a licence demands of what is made from the music, as far as its name or address tells.

    >>> demands("https://creativecommons.org/licenses/by-nc-sa/4.0/")
    ['no commercial use', 'derivatives only under the same licence']
    """
    return [words for words, pattern in FORBIDS.items() if pattern.search(licence)]


def lora_licence(base_sha256: str | None, data: Mapping[str, int]) -> str | None:
    """The one licence a LoRA can be said to be under; None where that is its maker's decision.

    Said only if the base is a published one and all music is given away without conditions:
    then the base's own terms are all there is.
    """
    base = BASES.get(base_sha256 or "")
    free = bool(data) and all(FREE.search(licence) for licence in data)
    return base.licence if base and free else None
