"""Choose the overlap of two clips, so that the beat continues and onsets coincide."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..codec.mel import MelFormat
from ..sound.rhythm import SHARP_S, beat_period, fit_beat_comb, mel_onsets, smooth_onsets
from .mel_crossfade import MelMagnitudes

SLACK_S = 0.25
"""Range around the wanted overlap, in seconds, where no common beat is known."""
OFF_BEAT_FRAMES = 1.0
"""Accuracy of the detected beats."""
EQUAL_TEMPO = 0.06
"""Largest log ratio of two beat periods that count as one tempo."""


@dataclass(frozen=True)
class Beats:
    """Onsets and beats of a clip."""

    onsets: Float[np.ndarray, " frames"]
    first_beat: float = 0.0
    """Frame of the first beat; meaningless without a period."""
    period: float | None = None
    """Frames from beat to beat; None if no beat was found."""


def detect_beats(mel: MelMagnitudes, fmt: MelFormat, tempo_bpm: float | None = None) -> Beats:
    """Onsets, and beats at the stated tempo or else at the detected one."""
    rate_hz = fmt.sr / fmt.hop_length
    onsets = mel_onsets(mel.magnitude.sum(0))
    period = 60 * rate_hz / tempo_bpm if tempo_bpm else beat_period(onsets, rate_hz)
    if period is None or len(onsets) < 2 * period:
        return Beats(onsets)
    first, exact = fit_beat_comb(onsets, period, rate_hz)
    return Beats(onsets, float(first), exact)


@dataclass(frozen=True)
class Overlap:
    """Overlap of two clips."""

    frames: int
    agreement: float
    """Correlation of both clips' onsets within the overlap; 0 if either has none."""
    off_beat_s: float | None
    """Distance of one clip's beats from the other's; None without a common beat."""


def choose_overlap(
    left: Beats, right: Beats, wanted: int, most: int, rate_hz: float, align: bool = True
) -> Overlap:
    """The overlap near ``wanted`` frames, at most ``most``, with the best agreement of onsets.

    If both clips share a tempo (or one's is twice the other's), only overlaps that keep the beat
    are tried, up to half a beat longer or shorter; otherwise up to a quarter of a second.
    """
    grid = _common_period(left, right) if align else None
    slack = round(SLACK_S * rate_hz) if grid is None else int(np.ceil(grid / 2))
    if not align or wanted == 0:
        slack = 0
    least = max(min(1, wanted), wanted - slack)
    lengths = list(range(least, min(most, wanted + slack) + 1)) or [most]
    agreement = np.array([_onset_agreement(left.onsets, right.onsets, n, rate_hz) for n in lengths])
    if grid is None:
        best = int(agreement.argmax())
        return Overlap(lengths[best], float(agreement[best]), None)
    phase = (len(left.onsets) - np.array(lengths) + right.first_beat - left.first_beat) % grid
    off = np.minimum(phase, grid - phase)
    on_beat = off <= max(OFF_BEAT_FRAMES, float(off.min()))
    best = int(np.where(on_beat, agreement, -np.inf).argmax())
    return Overlap(lengths[best], float(agreement[best]), float(off[best] / rate_hz))


def _common_period(left: Beats, right: Beats) -> float | None:
    """The shorter beat period if both are equal, doubled or halved; else None."""
    if left.period is None or right.period is None:
        return None
    for ratio in (1.0, 2.0, 0.5):
        if abs(np.log(left.period / (ratio * right.period))) < EQUAL_TEMPO:
            return min(left.period, right.period)
    return None


def _onset_agreement(
    left: Float[np.ndarray, " n"], right: Float[np.ndarray, " m"], overlap: int, rate_hz: float
) -> float:
    """Correlation of the onsets of both clips within the overlap, -1..1."""
    if overlap < 2:
        return 0.0
    x, y = (smooth_onsets(part, SHARP_S, rate_hz) for part in (left[-overlap:], right[:overlap]))
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else 0.0
