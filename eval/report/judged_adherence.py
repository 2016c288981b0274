"""What judges hear of instruments, tempo and mode, where a prompt's truth is known."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..listening.adherence import Adherence, adherence
from ..listening.judges import HEARD, Heard, Judges, likeliest, load_judges
from ..listening.truth import Truth, truths
from ..sets import ClipSet

CHANCE_TURNS = 20
"""So many ways to hand every clip another prompt's truth."""


def judged(sets: dict[str, ClipSet], dataset: Path) -> dict[str, Any] | None:
    """Adherence of each set, chance beside the first; None if no prompt's truth is known.

    The real clips show how well the judges hear, chance what clips reach that ignore their prompt.
    """
    known = truths(dataset)
    kept = {
        role: [i for i, p in enumerate(own.prompts) if p in known] for role, own in sets.items()
    }
    if not any(kept.values()):
        return None
    judges = load_judges()
    found: dict[str, Any] = {"judges": judges.version, "sets": {}, "clips": {}}
    for role, own in sets.items():
        if kept[role]:
            some = own.only(kept[role])
            asked = [_audible(known[prompt or ""], judges) for prompt in some.prompts]
            heard = judges.hear(some.clips.files)
            found["sets"][role] = {"n": len(some), **asdict(adherence(heard, asked))}
            found["clips"][role] = {
                clip: _words(own_heard, own_asked)
                for clip, own_heard, own_asked in zip(some.ids, heard, asked, strict=True)
            }
            if "chance" not in found:
                found["chance"] = chance(heard, asked)
    return found


def chance(heard: Sequence[Heard], asked: Sequence[Truth]) -> dict[str, float] | None:
    """Mean adherence to other prompts' truths; None if all prompts have one truth."""
    distinct = list(dict.fromkeys(asked))
    place = {truth: index for index, truth in enumerate(distinct)}
    turns = np.unique(np.linspace(1, len(distinct) - 1, CHANCE_TURNS).astype(int))
    if len(distinct) < 2:
        return None
    found: list[Adherence] = [
        adherence(heard, [distinct[(place[own] + turn) % len(distinct)] for own in asked])
        for turn in turns
    ]
    names = ("instruments", "tempo", "mode")
    return {name: float(np.mean([getattr(one, name) for one in found])) for name in names}


def _audible(truth: Truth, judges: Judges) -> Truth:
    """The truth without instruments that the judges do not know."""
    known = judges.listener.labels.instruments
    return Truth(tuple(n for n in truth.instruments if n in known), truth.pace, truth.mode)


def _words(heard: Heard, asked: Truth) -> dict[str, Any]:
    instruments = sorted(name for name, p in heard.instruments.items() if p >= HEARD)
    return {
        "heard": {
            "instruments": instruments,
            "tempo": likeliest(heard.tempo),
            "mode": likeliest(heard.mode),
        },
        "asked": {
            "instruments": list(asked.instruments),
            "tempo": asked.pace,
            "mode": asked.mode,
        },
    }
