"""Seam score: z-scores of flux, level and mel distance at the joints of a song.

A joint is a span of frames in which one clip, window or part changes into the next. Three numbers
are measured at each joint and at up to 9,999 places elsewhere in the song, of the same width:

- flux: mean change of the band levels from frame to frame in the span, minus that beside it; a cut
  raises it, a blur lowers it, a doubled onset can do either,
- level: mean level in the span, minus that beside it; crossfading audio out of phase lowers it,
- mel distance: distance of the mean band levels before and after; different clips differ.

A score is (mean at the joints - mean elsewhere) / standard deviation elsewhere. It is 0 if joints
resemble other places of the same music. No constant is fitted, and gain has no influence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

N_BANDS = 32
"""Groups of neighbouring mel rows; single rows change with every vibrato."""
FLOOR_DB = 60.0
"""Floor of the levels, relative to the song's loudest band."""
CONTEXT_S = 0.5
"""Seconds before and after a span that it is compared with."""
LEAST_S = 0.06
"""Minimum width of a joint in seconds: a cut lies between two frames."""
LEAST_PLACES, MOST_PLACES = 10, 5000
"""Fewest other places, for a usable spread; from twice the second on, only every nth counts."""
LEAST_SPREAD_DB = 1e-3
"""Minimum standard deviation, for songs without any change; far below audibility."""

Span = tuple[int, int]
"""Frames: first, and one past the last."""


@dataclass(frozen=True)
class SeamScore:
    """Three z-scores, each 0 if joints resemble other places, and the numbers measured."""

    flux: float
    level: float
    distance: float
    joints: int
    places: int

    @property
    def farthest_z(self) -> float:
        """The z-score farthest from 0."""
        return max((self.flux, self.level, self.distance), key=abs)


def band_power(mel: Float[np.ndarray, "mels frames"]) -> Float[np.ndarray, "bands frames"]:
    """Power of mel magnitudes in ``N_BANDS`` groups of rows; long songs can be passed in parts."""
    edges = np.linspace(0, len(mel), min(N_BANDS, len(mel)) + 1).round().astype(int)
    return np.add.reduceat(np.square(mel), edges[:-1], axis=0)


def seam_score(
    power: Float[np.ndarray, "bands frames"],
    joints: Sequence[Span],
    frames_per_s: float,
    ignored: Sequence[Span] = (),
) -> SeamScore:
    """Score the joints (spans of frames) of a song from its ``band_power``.

    They are compared with places outside ``ignored``.

    Joints nearer than ``CONTEXT_S`` to an end are skipped. ValueError without joints, and for fewer
    than ten other places.
    """
    context = max(1, round(CONTEXT_S * frames_per_s))
    n_frames = power.shape[1]
    spans = [_widened_span(joint, max(2, round(LEAST_S * frames_per_s))) for joint in joints]
    spans = [(a, b) for a, b in spans if a >= context and b + context <= n_frames]
    if not spans:
        raise ValueError(f"no joint with {CONTEXT_S} s on both sides")
    width = round(float(np.mean([b - a for a, b in spans])))
    free = _starts_of_free_places([*spans, *ignored], width, context, n_frames)
    if len(free) < LEAST_PLACES:
        raise ValueError(f"{len(free)} places without a joint; {LEAST_PLACES} are needed")
    floor = max(float(power.max()), 1e-30) * 10 ** (-FLOOR_DB / 10)
    levels = 10 * np.log10(np.maximum(power, floor))
    at = np.array([_joint_statistics(levels, a, b, context) for a, b in spans])
    elsewhere = np.array([_joint_statistics(levels, a, a + width, context) for a in free])
    spread = np.maximum(elsewhere.std(0), LEAST_SPREAD_DB)
    flux, level, distance = (at.mean(0) - elsewhere.mean(0)) / spread
    return SeamScore(float(flux), float(level), float(distance), len(spans), len(free))


def _starts_of_free_places(
    taken: Sequence[Span], width: int, context: int, n_frames: int
) -> list[int]:
    """First frames of spans outside ``taken`` with room for context; every nth of very many."""
    is_taken = np.zeros(n_frames, bool)
    for start, stop in taken:
        is_taken[max(0, start) : max(0, stop)] = True
    n_before = np.concatenate([[0], np.cumsum(is_taken)])
    starts = np.arange(context, n_frames - width - context + 1)
    free = starts[n_before[starts + width] == n_before[starts]]
    return free[:: max(1, len(free) // MOST_PLACES)].tolist()


def _widened_span(joint: Span, least: int) -> Span:
    missing = max(0, least - (joint[1] - joint[0]))
    return joint[0] - missing // 2, joint[1] + missing - missing // 2


def _joint_statistics(
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
