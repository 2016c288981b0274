"""A clip on disk: ``ID.png``, ``ID.flac`` and ``ID.json``, all three or none.

The JSON holds the clip's settings, which show whether it has to be generated again, and under
``result`` what was only known afterwards.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..codec.image import write_image
from ..codec.mel import MelFormat, MelImage
from ..errors import InputError
from ..files import read_json, whole_files, write_text
from ..sound.audio import write_audio

RESULT = "result"
KINDS = ("png", "flac", "json")
"""Files of a clip, by their suffixes; the JSON is written last."""


def has_clip_with_settings(folder: Path, clip_id: str, settings: dict[str, Any]) -> bool:
    """Whether the clip's three files exist, with these settings."""
    if not all(clip_path(folder, clip_id, kind).exists() for kind in KINDS):
        return False
    try:
        found = read_clip_json(folder, clip_id)
    except InputError:  # damaged
        return False
    return found is not None and {k: v for k, v in found.items() if k != RESULT} == settings


def read_clip_json(folder: Path, clip_id: str) -> dict[str, Any] | None:
    """A clip's JSON file, or None if there is none; InputError if it is damaged."""
    path = clip_path(folder, clip_id, "json")
    return read_json(path) if path.exists() else None


def clip_path(folder: Path, clip_id: str, kind: str) -> Path:
    """Path of a clip's file of one of the ``KINDS``."""
    return folder / f"{clip_id}.{kind}"


def without_variations(files: Sequence[Path]) -> list[Path]:
    """The files without variations of other clips, by the JSON beside each; all if all are some.

    A variation has the prompt and seed of its original, so it would count as a second original.
    """
    kept = [path for path in files if not _is_variation(path)]
    return kept or list(files)


def _is_variation(path: Path) -> bool:
    try:
        found = read_json(path.with_suffix(".json"))
    except InputError:
        return False
    return "drift" in found and "toward" not in found  # no morph


def write_clip(
    folder: Path,
    clip_id: str,
    image: MelImage,
    audio: Float[np.ndarray, "channels samples"],
    fmt: MelFormat,
    facts: dict[str, Any],
) -> Path:
    """Write a clip's three files and return the FLAC path; a failure writes none of them."""
    paths = [clip_path(folder, clip_id, kind) for kind in KINDS]
    with whole_files(*paths) as (png, flac, text):
        write_image(png, image, fmt)
        write_audio(flac, audio, fmt.sr)
        write_text(text, json.dumps(facts, indent=2) + "\n")
    return paths[1]
