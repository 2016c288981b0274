"""How far two clips are laid over each other, so that the beat goes on and onsets meet."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..codec.mel import MelFormat
from ..sound.rhythm import SHARP_S, beat_comb, beat_period, mel_onsets, smeared
from .joining import Layers

SLACK_S = 0.25
"""How much an overlap may change for the sake of onsets where no beat is known."""
OFF_BEAT_FRAMES = 1.0
"""Beats are not known better."""
EQUAL_TEMPO = 0.06
"""Beats this much apart are still one tempo; others cannot be brought together."""


@dataclass(frozen=True)
class Pulse:
    """When things happen in a clip."""

    onsets: Float[np.ndarray, " frames"]
    first_beat: float = 0.0
    """Frames; without meaning where there is no period."""
    period: float | None = None
    """Frames from beat to beat; None where no beat is heard."""


def hear_pulse(layers: Layers, fmt: MelFormat, tempo_bpm: float | None = None) -> Pulse:
    """Onsets, and beats of the tempo stated or heard."""
    rate_hz = fmt.sr / fmt.hop_length
    onsets = mel_onsets(layers.magnitude.sum(0))
    period = 60 * rate_hz / tempo_bpm if tempo_bpm else beat_period(onsets, rate_hz)
    if period is None or len(onsets) < 2 * period:
        return Pulse(onsets)
    first, exact = beat_comb(onsets, period, rate_hz)
    return Pulse(onsets, float(first), exact)


@dataclass(frozen=True)
class Overlap:
    """How far two clips are laid over each other."""

    frames: int
    agreement: float
    """Correlation of the onsets within the overlap; 0 where one has none."""
    off_beat_s: float | None
    """From one clip's beats to the other's; None where no common beat is known."""


def choose_overlap(
    left: Pulse, right: Pulse, wanted: int, most: int, rate_hz: float, align: bool = True
) -> Overlap:
    """The overlap near ``wanted`` frames, at most ``most``, at which onsets agree best.

    Where both have beats of one tempo (or one twice the other), only overlaps that go on with the
    beat are looked at, up to half a beat longer or shorter; else a quarter of a second.
    """
    grid = _common_period(left, right) if align else None
    slack = round(SLACK_S * rate_hz) if grid is None else int(np.ceil(grid / 2))
    if not align or wanted == 0:
        slack = 0
    least = max(min(1, wanted), wanted - slack)
    lengths = list(range(least, min(most, wanted + slack) + 1)) or [most]
    agreement = np.array([_agreement(left.onsets, right.onsets, n, rate_hz) for n in lengths])
    if grid is None:
        best = int(agreement.argmax())
        return Overlap(lengths[best], float(agreement[best]), None)
    phase = (len(left.onsets) - np.array(lengths) + right.first_beat - left.first_beat) % grid
    off = np.minimum(phase, grid - phase)
    on_beat = off <= max(OFF_BEAT_FRAMES, float(off.min()))
    best = int(np.where(on_beat, agreement, -np.inf).argmax())
    return Overlap(lengths[best], float(agreement[best]), float(off[best] / rate_hz))


def _common_period(left: Pulse, right: Pulse) -> float | None:
    if left.period is None or right.period is None:
        return None
    for ratio in (1.0, 2.0, 0.5):
        if abs(np.log(left.period / (ratio * right.period))) < EQUAL_TEMPO:
            return min(left.period, right.period)
    return None


def _agreement(
    left: Float[np.ndarray, " n"], right: Float[np.ndarray, " m"], overlap: int, rate_hz: float
) -> float:
    if overlap < 2:
        return 0.0
    x, y = (smeared(part, SHARP_S, rate_hz) for part in (left[-overlap:], right[:overlap]))
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else 0.0
