"""Adherence of clips to instruments, tempo and mode of MiniMIDI captions, by the judges."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..listening.adherence import Adherence, adherence
from ..listening.judges import DETECTION_THRESHOLD, Detected, Judges, likeliest, load_judges
from ..listening.truth import Truth, read_truths
from ..sets import ClipSet

CHANCE_ROTATIONS = 20
"""Rotations of the prompts over which adherence by chance is averaged."""


def judge_sets(sets: dict[str, ClipSet], dataset: Path) -> dict[str, Any] | None:
    """Adherence of each set, and by chance; None if the truth of no prompt is known.

    Real clips show the judges' accuracy; chance is the score of clips that ignore their prompts.
    """
    truths = read_truths(dataset)
    kept = {
        role: [i for i, p in enumerate(own.prompts) if p in truths] for role, own in sets.items()
    }
    if not any(kept.values()):
        return None
    judges = load_judges()
    found: dict[str, Any] = {"judges": judges.version, "sets": {}, "clips": {}}
    for role, own in sets.items():
        if kept[role]:
            some = own.only(kept[role])
            requested = [_detectable(truths[prompt or ""], judges) for prompt in some.prompts]
            detected = judges.detect(some.clips.files)
            found["sets"][role] = {"n": len(some), **asdict(adherence(detected, requested))}
            found["clips"][role] = {
                clip: _clip_json(found_in_clip, wanted)
                for clip, found_in_clip, wanted in zip(some.ids, detected, requested, strict=True)
            }
            if "chance" not in found:
                found["chance"] = chance_adherence(detected, requested)
    return found


def chance_adherence(
    detected: Sequence[Detected], requested: Sequence[Truth]
) -> dict[str, float] | None:
    """Mean adherence to other prompts' truths; None if all prompts have the same truth."""
    distinct = list(dict.fromkeys(requested))
    place = {truth: index for index, truth in enumerate(distinct)}
    rotations = np.unique(np.linspace(1, len(distinct) - 1, CHANCE_ROTATIONS).astype(int))
    if len(distinct) < 2:
        return None
    found: list[Adherence] = [
        adherence(detected, [distinct[(place[own] + by) % len(distinct)] for own in requested])
        for by in rotations
    ]
    names = ("instruments", "tempo", "mode")
    return {name: float(np.mean([getattr(one, name) for one in found])) for name in names}


def _detectable(truth: Truth, judges: Judges) -> Truth:
    """The truth without instruments that the judges do not know."""
    labels = judges.listener.labels.instruments
    return Truth(tuple(n for n in truth.instruments if n in labels), truth.pace, truth.mode)


def _clip_json(detected: Detected, requested: Truth) -> dict[str, Any]:
    probabilities = detected.instruments.items()
    return {
        "heard": {
            "instruments": sorted(name for name, p in probabilities if p >= DETECTION_THRESHOLD),
            "tempo": likeliest(detected.tempo),
            "mode": likeliest(detected.mode),
        },
        "asked": {
            "instruments": list(requested.instruments),
            "tempo": requested.pace,
            "mode": requested.mode,
        },
    }
