"""Adherence of clips to the instruments, tempo and mode of MiniMIDI prompts.

The judges (nano-CLAP's classifiers) detect the attributes; the dataset has the true ones.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..listening.adherence import Adherence, adherence
from ..listening.judges import (
    DETECTION_THRESHOLD,
    AttributeProbabilities,
    Judges,
    load_judges,
    most_probable_label,
)
from ..listening.truth import Truth, read_truths
from ..sets import ClipSet

CHANCE_ROTATIONS = 20
"""Rotations of the prompts over which adherence by chance is averaged."""


def judge_sets(sets: dict[str, ClipSet], dataset: Path) -> dict[str, Any] | None:
    """Adherence of each set, and by chance; None if no prompt is a caption of the dataset's pieces.

    The score of real clips shows the judges' accuracy. Chance is the score of clips that ignore
    their prompts, estimated from the first set that has known prompts.
    """
    truths = read_truths(dataset)
    known_prompts = {
        role: [i for i, p in enumerate(clip_set.prompts) if p in truths]
        for role, clip_set in sets.items()
    }
    if not any(known_prompts.values()):
        return None
    judges = load_judges()
    results: dict[str, Any] = {"judges": judges.version, "sets": {}, "clips": {}}
    for role, clip_set in sets.items():
        if known_prompts[role]:
            judged = clip_set.subset(known_prompts[role])
            requested = [
                _only_known_instruments(truths[prompt or ""], judges) for prompt in judged.prompts
            ]
            detected = judges.probabilities_of_files(judged.clips.files)
            results["sets"][role] = {"n": len(judged), **asdict(adherence(detected, requested))}
            results["clips"][role] = {
                clip: _clip_json(attributes, wanted)
                for clip, attributes, wanted in zip(judged.ids, detected, requested, strict=True)
            }
            if "chance" not in results:
                results["chance"] = chance_adherence(detected, requested)
    return results


def chance_adherence(
    detected: Sequence[AttributeProbabilities], requested: Sequence[Truth]
) -> dict[str, float] | None:
    """Mean adherence to the truths of other prompts; None if all prompts have the same truth."""
    distinct = list(dict.fromkeys(requested))
    place = {truth: index for index, truth in enumerate(distinct)}
    rotations = np.unique(np.linspace(1, len(distinct) - 1, CHANCE_ROTATIONS).astype(int))
    if len(distinct) < 2:
        return None
    rotated: list[Adherence] = [
        adherence(
            detected, [distinct[(place[truth] + shift) % len(distinct)] for truth in requested]
        )
        for shift in rotations
    ]
    names = ("instruments", "tempo", "mode")
    return {name: float(np.mean([getattr(one, name) for one in rotated])) for name in names}


def _only_known_instruments(truth: Truth, judges: Judges) -> Truth:
    """The truth without instruments that the judges do not know."""
    labels = judges.listener.labels.instruments
    return Truth(tuple(n for n in truth.instruments if n in labels), truth.pace, truth.mode)


def _clip_json(detected: AttributeProbabilities, requested: Truth) -> dict[str, Any]:
    probabilities = detected.instruments.items()
    return {
        "heard": {
            "instruments": sorted(name for name, p in probabilities if p >= DETECTION_THRESHOLD),
            "tempo": most_probable_label(detected.tempo),
            "mode": most_probable_label(detected.mode),
        },
        "asked": {
            "instruments": list(requested.instruments),
            "tempo": requested.pace,
            "mode": requested.mode,
        },
    }
