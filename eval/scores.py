"""All metrics of a set of clips, and what moved since a baseline."""

from collections.abc import Iterable
from dataclasses import dataclass

from .figures import Figure
from .intervals import jackknife_interval
from .metric_table import METRICS, Metric
from .metrics.rows import require_unit_rows
from .sample import Sample


def score(sample: Sample, names: Iterable[str] = METRICS) -> dict[str, Figure]:
    """The named metrics of clips; one that cannot be had says why.

    Raises ValueError for rows that are not finite or not of length 1.
    """
    require_unit_rows(sample.rows, "clips")
    if sample.reference:
        require_unit_rows(sample.reference.rows, "reference clips")
    return {name: _measured(METRICS[name], sample) for name in names}


def _measured(metric: Metric, sample: Sample) -> Figure:
    try:
        return metric.measure(sample)
    except ValueError as reason:
        return Figure(None, len(sample.rows), why_not=str(reason))


@dataclass(frozen=True)
class Move:
    """How one score changed from a baseline's clips to these."""

    before: float
    after: float
    change: float
    low: float | None
    """95 % interval of the change over matched prompts or clips; None if there is none."""
    high: float | None
    better: bool | None
    """Whether it moved the way it should, or came nearer to what real clips reach; None where
    that is not known."""

    @property
    def sure(self) -> bool | None:
        """Whether the interval excludes no change; None if there is no interval."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0


def compare(
    before: Sample, after: Sample, paired: bool, names: Iterable[str] = METRICS
) -> dict[str, Move]:
    """Each metric's change, of those that both samples have; ``paired`` rows match one by one."""
    old, new = score(before, names), score(after, names)
    moves = (
        (name, _move(METRICS[name], old[name], new[name], before, after, paired)) for name in old
    )
    return {name: move for name, move in moves if move}


def _move(
    metric: Metric, old: Figure, new: Figure, before: Sample, after: Sample, paired: bool
) -> Move | None:
    if old.value is None or new.value is None:
        return None
    span = None
    if paired and metric.of_rows is not None:
        old_of, new_of = metric.of_rows(before), metric.of_rows(after)
        span = jackknife_interval(lambda keep: new_of(keep) - old_of(keep), after.groups)
    better = _is_better(metric, old.value, new.value, new.real)
    return Move(old.value, new.value, new.value - old.value, *(span or (None, None)), better)


def _is_better(metric: Metric, old: float, new: float, real: float | None) -> bool | None:
    if metric.aim == "real":
        return None if real is None else abs(new - real) < abs(old - real)
    return new < old if metric.aim == "low" else new > old
