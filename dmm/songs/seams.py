"""How much the joints of a long piece stand out: flux, level and mel distance there, as z-scores.

A joint is a span of frames in which one clip, window or part gives way to the next. The same three
numbers are taken at every joint and at every other place of the same piece and width:

- flux: mean change of the band levels from frame to frame within the span, less that beside it; a
  cut raises it, a blur or a double onset lowers or raises it,
- level: mean level within the span, less that beside it; a crossfade of sounds out of phase dips,
- mel distance: between the mean band levels before and after; different clips differ.

A score is (mean at the joints - mean elsewhere) / standard deviation elsewhere: 0 where joints are
like any other place, whatever the music. Nothing is fitted, and gain does not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

N_BANDS = 32
"""Neighbouring mel rows whose power is added up; single rows jump with every vibrato."""
FLOOR_DB = 60.0
"""Levels lie no further below the piece's loudest band."""
CONTEXT_S = 0.5
"""Length of what counts as beside, before or after."""
LEAST_S = 0.06
"""A shorter joint is looked at so wide: a cut shows between two frames."""
LEAST_PLACES, MOST_PLACES = 10, 5000
"""With fewer other places their spread says nothing; more say nothing new."""
LEAST_SPREAD_DB = 1e-3
"""Places of a piece without change count as so different, far below what is heard."""

Span = tuple[int, int]
"""First frame, and the one after the last."""


@dataclass(frozen=True)
class SeamScore:
    """Three z-scores, each 0 where joints are like other places, and how many places were seen."""

    flux: float
    level: float
    distance: float
    joints: int
    places: int

    @property
    def z(self) -> float:
        """The one furthest from 0."""
        return max((self.flux, self.level, self.distance), key=abs)


def band_power(mel: Float[np.ndarray, "mels frames"]) -> Float[np.ndarray, "bands frames"]:
    """Power of mel magnitudes in ``N_BANDS`` groups of rows; long pieces come in parts."""
    edges = np.linspace(0, len(mel), min(N_BANDS, len(mel)) + 1).round().astype(int)
    return np.add.reduceat(np.square(mel), edges[:-1], axis=0)


def seam_score(
    power: Float[np.ndarray, "bands frames"],
    joints: Sequence[Span],
    frames_per_s: float,
    ignored: Sequence[Span] = (),
) -> SeamScore:
    """Score the joints of a piece from its ``band_power``; no place touches an ``ignored`` span.

    Joints too near an end to have a before and an after are left out. Raises ValueError without
    joints, or if fewer than ten other places remain.
    """
    context = max(1, round(CONTEXT_S * frames_per_s))
    n_frames = power.shape[1]
    spans = [_widened(joint, max(2, round(LEAST_S * frames_per_s))) for joint in joints]
    spans = [(a, b) for a, b in spans if a >= context and b + context <= n_frames]
    if not spans:
        raise ValueError(f"no joint with {CONTEXT_S} s on both sides")
    width = round(float(np.mean([b - a for a, b in spans])))
    free = _free_places([*spans, *ignored], width, context, n_frames)
    if len(free) < LEAST_PLACES:
        raise ValueError(f"{len(free)} places without a joint; {LEAST_PLACES} are needed")
    floor = max(float(power.max()), 1e-30) * 10 ** (-FLOOR_DB / 10)
    levels = 10 * np.log10(np.maximum(power, floor))
    at = np.array([_statistics(levels, a, b, context) for a, b in spans])
    elsewhere = np.array([_statistics(levels, a, a + width, context) for a in free])
    spread = np.maximum(elsewhere.std(0), LEAST_SPREAD_DB)
    flux, level, distance = (at.mean(0) - elsewhere.mean(0)) / spread
    return SeamScore(float(flux), float(level), float(distance), len(spans), len(free))


def _free_places(taken: Sequence[Span], width: int, context: int, n_frames: int) -> list[int]:
    """First frames of spans of that width, with context, that touch none of those taken."""
    is_taken = np.zeros(n_frames, bool)
    for start, stop in taken:
        is_taken[max(0, start) : max(0, stop)] = True
    n_before = np.concatenate([[0], np.cumsum(is_taken)])
    starts = np.arange(context, n_frames - width - context + 1)
    free = starts[n_before[starts + width] == n_before[starts]]
    return free[:: max(1, len(free) // MOST_PLACES)].tolist()


def _widened(joint: Span, least: int) -> Span:
    missing = max(0, least - (joint[1] - joint[0]))
    return joint[0] - missing // 2, joint[1] + missing - missing // 2


def _statistics(
    levels: Float[np.ndarray, "bands frames"], start: int, stop: int, context: int
) -> tuple[float, float, float]:
    """Flux, level and mel distance of one place, in dB."""
    before, inside = levels[:, start - context : start], levels[:, start:stop]
    after = levels[:, stop : stop + context]
    flux = [np.abs(np.diff(part, axis=1)).mean() for part in (before, inside, after)]
    level = [part.mean() for part in (before, inside, after)]
    distance = np.sqrt(np.square(after.mean(1) - before.mean(1)).mean())
    return (
        float(flux[1] - (flux[0] + flux[2]) / 2),
        float(level[1] - (level[0] + level[2]) / 2),
        float(distance),
    )
