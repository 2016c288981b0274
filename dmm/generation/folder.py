"""The CLIPS folder: ``ID.png``, ``ID.flac`` and ``ID.json`` for every clip, whole or not at all.

The JSON is a clip's settings, by which the next command sees that it need not be made again, and
under ``result`` what is only known afterwards.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..codec.image import write_image
from ..codec.mel import MelFormat
from ..files import write_text
from ..sound.audio import write_audio
from .drawing import Levels

RESULT = "result"


def is_made(out: Path, clip_id: str, settings: dict[str, Any]) -> bool:
    """Whether the clip is there with these settings: its JSON comes last, so the rest is too."""
    found = read_settings(out, clip_id)
    return found is not None and {k: v for k, v in found.items() if k != RESULT} == settings


def read_settings(out: Path, clip_id: str) -> dict[str, Any] | None:
    """A clip's JSON, or None if there is none."""
    path = out / f"{clip_id}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write_clip(
    out: Path,
    clip_id: str,
    levels: Levels,
    audio: Float[np.ndarray, "channels samples"],
    fmt: MelFormat,
    facts: dict[str, Any],
) -> Path:
    """Write a clip's three files and return the sound's path; interrupted, none of them stays."""
    image, sound, text = (out / f"{clip_id}.{kind}" for kind in ("png", "flac", "json"))
    text.unlink(missing_ok=True)
    try:
        write_image(image, levels, fmt)
        write_audio(sound, audio, fmt.sr)
        write_text(text, json.dumps(facts, indent=2) + "\n")
    except BaseException:
        for path in (text, sound, image):
            path.unlink(missing_ok=True)
        raise
    return sound
