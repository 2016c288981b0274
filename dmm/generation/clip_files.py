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
from ..files import write_text
from ..sound.audio import write_audio

RESULT = "result"


def has_clip(folder: Path, clip_id: str, settings: dict[str, Any]) -> bool:
    """Whether the clip exists with these settings; its JSON is written last, after the others."""
    found = read_clip_json(folder, clip_id)
    return found is not None and {k: v for k, v in found.items() if k != RESULT} == settings


def read_clip_json(folder: Path, clip_id: str) -> dict[str, Any] | None:
    """A clip's JSON file, or None if there is none."""
    path = folder / f"{clip_id}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def without_variations(files: Sequence[Path]) -> list[Path]:
    """The files without variations of other clips, by the JSON beside each; all if all are some.

    A variation has the prompt and seed of its original, so it would count as a second original.
    """
    kept = [path for path in files if not _is_variation(path)]
    return kept or list(files)


def _is_variation(path: Path) -> bool:
    try:
        found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and "drift" in found and "toward" not in found  # no morph


def write_clip(
    folder: Path,
    clip_id: str,
    image: MelImage,
    audio: Float[np.ndarray, "channels samples"],
    fmt: MelFormat,
    facts: dict[str, Any],
) -> Path:
    """Write a clip's three files and return the FLAC path; a failure removes all three."""
    png, flac, text = (folder / f"{clip_id}.{kind}" for kind in ("png", "flac", "json"))
    text.unlink(missing_ok=True)
    try:
        write_image(png, image, fmt)
        write_audio(flac, audio, fmt.sr)
        write_text(text, json.dumps(facts, indent=2) + "\n")
    except BaseException:
        for path in (text, flac, png):
            path.unlink(missing_ok=True)
        raise
    return flac
