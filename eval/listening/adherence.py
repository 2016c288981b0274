"""How much of a prompt is heard in its clips, by the judges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ..intervals import jackknife_interval
from .judges import HEARD, Heard, likeliest


@runtime_checkable
class Asked(Protocol):
    """What is known to be asked of a clip, or true of it, in the judges' own labels; hashable."""

    @property
    def instruments(self) -> Sequence[str]:
        """Pitched instruments."""
        ...

    @property
    def pace(self) -> str:
        """Its class, "slow", "medium tempo" or "fast"."""
        ...

    @property
    def mode(self) -> str:
        """Which of "major" and "minor"."""
        ...


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


def adherence(heard: Sequence[Heard], asked: Sequence[Asked]) -> Adherence:
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


def instruments_heard(heard: Heard, asked: Asked) -> int:
    """How many of the asked instruments sound."""
    return sum(heard.instruments[name] >= HEARD for name in asked.instruments)
