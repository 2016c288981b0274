"""All metrics of a set of clips with intervals and floors, and what moved since a baseline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .intervals import MIN_GROUPS, jackknife_interval, real_floor
from .metrics import METRICS, Direction, Metric
from .rows import require_unit_rows


@dataclass(frozen=True)
class Score:
    """A metric's value; every None says that the set is too small for that part, or FAD."""

    value: float
    low: float | None
    """95 % interval of the value."""
    high: float | None
    floor: float | None
    """What real clips score in the clips' place; for cosine and diversity, among themselves."""
    floor_low: float | None
    floor_high: float | None
    floor_n: int | None
    """How many real clips stand in; fewer than scored if the reference is small."""
    excess: float | None
    """Score above the floor at equal numbers: the fair part of FAD."""
    direction: Direction


def score_clips(
    x: Float[np.ndarray, "n dim"],
    reference: Float[np.ndarray, "m dim"],
    groups: Sequence[object],
) -> dict[str, Score]:
    """Every metric of ``METRICS`` for unit rows; ``groups`` are the prompts, or the clips.

    Raises ValueError for rows that are not finite or not of length 1.
    """
    require_unit_rows(x, "clips")
    require_unit_rows(reference, "reference clips")
    return {name: _score(metric, x, reference, groups) for name, metric in METRICS.items()}


def _score(metric: Metric, x: np.ndarray, reference: np.ndarray, groups: Sequence[object]) -> Score:
    value = metric.score(x, reference)
    interval = metric.of_rows and jackknife_interval(metric.of_rows(x, reference), groups)
    low, high = interval or (None, None)
    if metric.own is not None:
        floor = _target(metric.own, value, reference)
    elif drawn := real_floor(metric.score, x, reference):
        floor = (drawn.mean, drawn.low, drawn.high, drawn.n, drawn.excess)
    else:
        floor = (None, None, None, None, None)
    return Score(value, low, high, *floor, metric.direction)


def _target(
    own: Callable[[np.ndarray], float], value: float, reference: np.ndarray
) -> tuple[float, float | None, float | None, int, float]:
    """What the reference scores among itself, in the order of Score's floor fields."""
    target, rows = own(reference), range(len(reference))
    low, high = jackknife_interval(lambda keep: own(reference[keep]), rows) or (None, None)
    return target, low, high, len(reference), value - target


@dataclass(frozen=True)
class Move:
    """How one score changed from a baseline's clips to these."""

    before: float
    after: float
    change: float
    low: float | None
    """95 % interval of the change over matched prompts or clips; None if unmatched, or FAD."""
    high: float | None
    toward: bool
    """Whether a distance fell, or another score came nearer to what real clips reach."""

    @property
    def sure(self) -> bool | None:
        """Whether the interval excludes no change; None if there is no interval."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0


def compare(
    before: Float[np.ndarray, "n0 dim"],
    after: Float[np.ndarray, "n dim"],
    reference: Float[np.ndarray, "m dim"],
    groups: Sequence[object] | None,
) -> dict[str, Move]:
    """Each metric's change; with ``groups`` (one a row) the rows of both sets are matched pairs."""
    return {
        name: _move(metric, before, after, reference, groups) for name, metric in METRICS.items()
    }


def _move(
    metric: Metric,
    before: np.ndarray,
    after: np.ndarray,
    reference: np.ndarray,
    groups: Sequence[object] | None,
) -> Move:
    old, new = metric.score(before, reference), metric.score(after, reference)
    interval = None
    if groups is not None and metric.of_rows is not None:
        old_of, new_of = (metric.of_rows(x, reference) for x in (before, after))
        interval = jackknife_interval(lambda keep: new_of(keep) - old_of(keep), groups)
    target = metric.own(reference) if metric.own else None
    toward = new < old if target is None else abs(new - target) < abs(old - target)
    return Move(old, new, new - old, *(interval or (None, None)), toward)


def interval_groups(prompts: Sequence[str | None]) -> tuple[list[object], str]:
    """What leaves together in intervals: prompts if all are known and enough, else single clips.

    The second value says which, "prompts" or "clips": an interval over the clips of few prompts
    promises nothing for other prompts.
    """
    if None not in prompts and len(set(prompts)) >= MIN_GROUPS:
        return list(prompts), "prompts"
    return list(range(len(prompts))), "clips"
