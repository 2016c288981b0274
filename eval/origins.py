"""How clips came about: prompts and seeds beside them, and which clips of two sets are pairs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmm.errors import InputError

PREVIEWS = "preview.json"


@dataclass(frozen=True)
class Origin:
    """How a clip came about: from ID.json of CLIPS, ID.txt of a DATASET, or a RUN's previews."""

    prompt: str | None
    seed: int | None


def origin(audio: Path) -> Origin:
    """The prompt and seed beside an audio file, each None where unknown."""
    known, caption = made_by(audio), audio.with_suffix(".txt")
    if known:
        prompt, seed = _asked(known), known.get("seed")
        return Origin(prompt, seed if isinstance(seed, int) else None)
    if caption.is_file():
        return Origin(caption.read_text(encoding="utf-8").strip(), None)
    record = audio.with_name(PREVIEWS)
    return _previewed(audio, record) if record.is_file() else Origin(None, None)


def made_by(audio: Path) -> dict[str, Any]:
    """What ID.json says of how ID was made, empty without one; InputError if it is no object."""
    sidecar = audio.with_suffix(".json")
    if not sidecar.is_file():
        return {}
    try:
        known = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{sidecar}: is no JSON ({error}); delete or mend it") from error
    if not isinstance(known, dict):
        raise InputError(f"{sidecar}: is no JSON object; delete or mend it")
    return known


def _asked(known: dict[str, Any]) -> str | None:
    """The prompt of a clip, or of a long piece that has one from end to end."""
    prompt = known.get("prompt")
    if "timeline" in known:
        prompts = {part["prompt"] for part in known["timeline"]["part"]}
        prompt = prompts.pop() if len(prompts) == 1 else None
    return prompt if isinstance(prompt, str) else None


def _previewed(audio: Path, record: Path) -> Origin:
    """From the record of a training run's previews, whose file names end in their seeds."""
    drawn = json.loads(record.read_text(encoding="utf-8"))["drawn"]["clips"]
    words = {str(seed): Origin(prompt, seed) for prompt, seed in drawn}
    return words.get(audio.stem.rpartition("-")[2], Origin(None, None))


def match_pairs(before: Sequence[Path], after: Sequence[Path]) -> list[tuple[int, int]]:
    """Indices (before, after) of clips with the same prompt and seed, in the order of ``after``."""
    known: dict[Origin, list[int]] = {}
    for index, path in enumerate(before):
        if None not in ((own := origin(path)).prompt, own.seed):
            known.setdefault(own, []).append(index)
    pairs = []
    for index, path in enumerate(after):
        if twins := known.get(origin(path)):
            pairs.append((twins.pop(0), index))
    return pairs
