"""Compute metrics of a set of clips, and their changes since a baseline."""

from collections.abc import Iterable
from dataclasses import dataclass

from .intervals import jackknife_interval
from .metric_table import METRICS, Metric
from .metric_values import MetricValue
from .metrics.unit_rows import require_unit_rows
from .sample import Sample
from .trust import VERDICT_TRACKS


def compute_scores(sample: Sample, names: Iterable[str] = METRICS) -> dict[str, MetricValue]:
    """Compute the named metrics; an impossible value is None, with the reason in ``why_not``.

    Raises ValueError for rows that are not finite or not of length 1.
    """
    require_unit_rows(sample.rows, "clips")
    if sample.reference:
        require_unit_rows(sample.reference.rows, "reference clips")
    return {name: _value_or_reason(METRICS[name], sample) for name in names}


def _value_or_reason(metric: Metric, sample: Sample) -> MetricValue:
    """The metric's value, or the reason why it cannot be computed in ``why_not``."""
    try:
        return metric.evaluate(sample)
    except ValueError as reason:
        return MetricValue(None, len(sample.rows), why_not=str(reason))


@dataclass(frozen=True)
class Change:
    """Change of one score from a baseline's clips to these."""

    before: float
    after: float
    change: float
    low: float | None
    """95 % interval of the change over paired prompts or clips; None if there is none."""
    high: float | None
    better: bool | None
    """Whether the score improved, or came closer to that of real clips; None if unknown.

    Real clips of fewer than five tracks show no variety to come closer to.
    """

    @property
    def is_significant(self) -> bool | None:
        """Whether the interval excludes 0; None if there is no interval."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0


def compare_scores(
    before: Sample, after: Sample, paired: bool, names: Iterable[str] = METRICS
) -> dict[str, Change]:
    """Change of each metric that both samples have; with ``paired``, rows match one by one."""
    old, new = compute_scores(before, names), compute_scores(after, names)
    changes = (
        (name, _change_or_none(METRICS[name], old[name], new[name], before, after, paired))
        for name in old
    )
    return {name: change for name, change in changes if change}


def _change_or_none(
    metric: Metric, old: MetricValue, new: MetricValue, before: Sample, after: Sample, paired: bool
) -> Change | None:
    """Change of one score; None if either sample has no value."""
    if old.value is None or new.value is None:
        return None
    interval = None
    if paired and metric.make_score_of_rows is not None:
        old_of, new_of = metric.make_score_of_rows(before), metric.make_score_of_rows(after)
        interval = jackknife_interval(lambda keep: new_of(keep) - old_of(keep), after.groups)
    better = _is_better(metric, old.value, new.value, _real_clips_target(new, after))
    return Change(old.value, new.value, new.value - old.value, *(interval or (None, None)), better)


def _real_clips_target(score: MetricValue, sample: Sample) -> float | None:
    """Value of the real clips, unless they are of too few tracks to be a target."""
    tracks = sample.reference.track_count if sample.reference else None
    return None if tracks is not None and tracks < VERDICT_TRACKS else score.real


def _is_better(metric: Metric, old: float, new: float, real: float | None) -> bool | None:
    """Whether the new value is better; None if the target is unknown."""
    if metric.aim == "real":
        return None if real is None else abs(new - real) < abs(old - real)
    return new < old if metric.aim == "low" else new > old
