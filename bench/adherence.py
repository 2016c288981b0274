"""How much of a prompt is heard in its clips, by the judges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataset_tools.sources.minimidi import Prompt
from eval.diversity import embedding_diversity
from eval.intervals import jackknife_interval
from eval.judges import HEARD, Heard, likeliest


@dataclass(frozen=True)
class Adherence:
    """Shares of clips, 0..1."""

    instruments: float
    """Asked instruments that are heard, of all asked."""
    low: float | None
    """95 % interval of ``instruments`` over prompts."""
    high: float | None
    tempo: float
    """Clips whose likeliest tempo class is the asked one."""
    mode: float
    """Clips whose likelier mode is the asked one."""


def adherence(heard: Sequence[Heard], asked: Sequence[Prompt]) -> Adherence:
    """What of ``asked[i]`` is heard in ``heard[i]``; intervals leave out whole prompts."""
    pairs = list(zip(heard, asked, strict=True))
    found = np.array([instruments_heard(h, a) for h, a in pairs])
    total = np.array([len(a.instruments) for a in asked])

    def share(keep: np.ndarray) -> float:
        return float(found[keep].sum() / total[keep].sum())

    low, high = jackknife_interval(share, asked) or (None, None)
    return Adherence(
        instruments=share(np.arange(len(asked))),
        low=low,
        high=high,
        tempo=float(np.mean([likeliest(h.tempo) == a.pace for h, a in pairs])),
        mode=float(np.mean([likeliest(h.mode) == a.mode for h, a in pairs])),
    )


def instruments_heard(heard: Heard, asked: Prompt) -> int:
    """How many of the asked instruments sound."""
    return sum(heard.instruments[name] >= HEARD for name in asked.instruments)


def per_prompt_diversity(rows: np.ndarray, asked: Sequence[Prompt]) -> float:
    """Mean over prompts of the diversity among one prompt's clips; NaN with one clip a prompt."""
    groups: dict[Prompt, list[int]] = {}
    for row, wanted in enumerate(asked):
        groups.setdefault(wanted, []).append(row)
    spreads = [embedding_diversity(rows[kept]) for kept in groups.values() if len(kept) > 1]
    return float(np.mean(spreads)) if spreads else float("nan")
