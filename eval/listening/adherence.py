"""Share of the requested instruments, tempo and mode that the judges detect in clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ..intervals import jackknife_interval
from .judges import DETECTION_THRESHOLD, AttributeProbabilities, most_probable_label


@runtime_checkable
class Requested(Protocol):
    """Requested or true attributes of a clip, by the judges' labels; hashable."""

    @property
    def instruments(self) -> Sequence[str]:
        """Pitched instruments."""
        ...

    @property
    def pace(self) -> str:
        """Tempo class: "slow", "medium tempo" or "fast"."""
        ...

    @property
    def mode(self) -> str:
        """Mode: "major" or "minor"."""
        ...


@dataclass(frozen=True)
class Adherence:
    """Shares of clips, 0..1."""

    instruments: float
    """Requested instruments that are detected, of all requested."""
    low: float | None
    """95 % interval of ``instruments`` over prompts."""
    high: float | None
    tempo: float
    """Clips whose most probable tempo class is the requested one."""
    mode: float
    """Clips whose likelier mode is the requested one."""


def adherence(
    detected: Sequence[AttributeProbabilities], requested: Sequence[Requested]
) -> Adherence:
    """Compare ``detected[i]`` with ``requested[i]``; the jackknife leaves out whole prompts."""
    pairs = list(zip(detected, requested, strict=True))
    found = np.array([count_detected(d, r) for d, r in pairs])
    total = np.array([len(r.instruments) for r in requested])

    def share(keep: np.ndarray) -> float:
        return float(found[keep].sum() / total[keep].sum())

    low, high = jackknife_interval(share, requested) or (None, None)
    return Adherence(
        instruments=share(np.arange(len(requested))),
        low=low,
        high=high,
        tempo=float(np.mean([most_probable_label(d.tempo) == r.pace for d, r in pairs])),
        mode=float(np.mean([most_probable_label(d.mode) == r.mode for d, r in pairs])),
    )


def count_detected(detected: AttributeProbabilities, requested: Requested) -> int:
    """Number of requested instruments that are detected."""
    return sum(detected.instruments[name] >= DETECTION_THRESHOLD for name in requested.instruments)
