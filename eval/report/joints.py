"""Seam scores of long pieces, read from the JSON of ``dmm song`` and ``dmm stitch``."""

from typing import Any

from ..origins import read_clip_json
from ..sets import ClipSet

GENERATED = ("clips", "before")
SCORES = ("z", "flux", "level", "distance", "joints", "places")
"""Fields of ``dmm.songs.seams``: ``z`` is that of the next three furthest from 0."""


def joint_rows(sets: dict[str, ClipSet]) -> list[dict[str, Any]]:
    """One row per long piece among the generated clips; ``why_not`` if it has no score."""
    found = (
        (role, clip, read_clip_json(path).get("seams"))
        for role in GENERATED
        if role in sets
        for clip, path in zip(sets[role].ids, sets[role].clips.files, strict=True)
    )
    return [
        {"set": role, "id": clip, "why_not": seams.get("unscored")}
        | {name: seams.get(name) for name in SCORES}
        for role, clip, seams in found
        if seams
    ]
