"""Loss of a DATASET's sound in a base's VAE, as ``dmm data fidelity`` measured it.

The measurement lies in the DATASET, so that ``dmm train --check`` can report it without the audio
tools of ``dataset_tools``: no LoRA on this base sounds better.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import read_json, write_text

FILE = "fidelity.json"


def write_sound_limits(dataset: Path, base: Path, clips: int, sentences: Sequence[str]) -> None:
    """Write ``fidelity.json``: sentences measured on ``clips`` clips, and the base's identity."""
    facts = {"clips": clips, "sentences": list(sentences)}
    write_text(dataset / FILE, json.dumps(_identity(base) | facts, indent=1, ensure_ascii=False))


def sound_limits(dataset: Path, base: Path) -> list[str]:
    """Lines on the sound's limits with this base, or one line on how to measure them."""
    try:
        found: Mapping[str, Any] = read_json(dataset / FILE)
        if {key: found[key] for key in ("base", "bytes")} == _identity(base):
            return [f"sound, at best: {line}" for line in found["sentences"]]
    except (InputError, KeyError, TypeError):
        pass
    command = f"dmm data fidelity {dataset} --base {base} --out fidelity"
    return [f"sound, at best: not measured with this base; hear what its VAE loses: {command}"]


def _identity(base: Path) -> dict[str, Any]:
    """Name and size: the hash of a full-size base takes half a minute."""
    return {"base": base.name, "bytes": base.stat().st_size}
