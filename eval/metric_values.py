"""Value of each metric for a sample, with its interval and the value that real clips reach.

One function a metric, listed in ``eval.metric_table``. A ValueError gives the reason why a value
cannot be computed; reports show it in place of the value.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .intervals import jackknife_interval, real_floor
from .metrics.closeness import reference_closeness
from .metrics.diversity import mean_cosine_distance, participation_ratio
from .metrics.fad import fit_gaussian, frechet_distance, gaussian_distance
from .metrics.fad_inf import fad_infinity
from .metrics.kad import kernel_distance, kernel_matrices, permutation_p
from .metrics.vendi import vendi_scores_of_both
from .sample import Sample, numbered_groups

Interval = tuple[float | None, float | None]


@dataclass(frozen=True)
class MetricValue:
    """A metric's value with its interval and comparisons; None for parts that do not apply."""

    value: float | None
    n: int
    """Clips of the sample."""
    interval: Interval = (None, None)
    """95 % interval of the value."""
    real: float | None = None
    """Value of real clips: in the clips' place and number, or among themselves."""
    real_interval: Interval = (None, None)
    real_n: int | None = None
    """Real clips that ``real`` is computed from; fewer than ``n`` if there are not enough."""
    excess: float | None = None
    """How far the value is above that of real clips.

    For distances, both from equally many clips to the same rest, so the bias of few clips cancels.
    """
    detail: dict[str, float | int | None] = field(default_factory=dict)
    """Further numbers, explained by ``DETAILS`` of ``eval.report.sentences``."""
    why_not: str | None = None
    """Reason why there is no value."""


def clap_similarity(sample: Sample) -> MetricValue:
    """Mean cosine of audio and own prompt, beside that of audio and other prompts."""
    found, real = sample.clap, sample.real_clap if sample.reference else None
    detail = {"sd": found.sd, "shuffled_mean": found.shuffled_mean, "gap": found.gap}
    return MetricValue(
        found.mean,
        found.n,
        (found.low, found.high),
        real=real and real.mean,
        real_interval=(real.low, real.high) if real else (None, None),
        real_n=real and real.n,
        excess=found.mean - real.mean if real else None,
        detail=detail | {"p": found.p, "prompts": found.n_prompts},
    )


def retrieval(sample: Sample) -> MetricValue:
    """Share of clips whose own prompt is the most similar of all; ValueError for one prompt."""
    found, real = sample.clap, sample.real_clap if sample.reference else None
    if found.recall_at_1 is None:
        raise ValueError("needs 2 or more prompts to choose from; got 1")
    return MetricValue(
        found.recall_at_1,
        found.n,
        real=real and real.recall_at_1,
        real_n=real and real.n,
        detail={"chance": 1 / found.n_prompts},
    )


def diversity(sample: Sample) -> MetricValue:
    """Mean cosine distance of two clips; the target is that of the real clips."""
    rows = sample.rows
    interval = jackknife_interval(lambda keep: mean_cosine_distance(rows[keep]), sample.groups)
    score = MetricValue(mean_cosine_distance(rows), len(rows), interval or (None, None))
    return _with_real_target(score, sample, mean_cosine_distance)


def fad(sample: Sample) -> MetricValue:
    """Fréchet distance; ``real`` is that of an equally large random part of the real clips."""
    value = gaussian_distance(fit_gaussian(sample.rows), sample.real.gaussian)
    return _with_real_floor(MetricValue(value, len(sample.rows)), sample, frechet_distance)


def fad_inf(sample: Sample) -> MetricValue:
    """Fréchet distance extrapolated to infinitely many clips."""
    found = fad_infinity(sample.rows, sample.real.rows)
    detail: dict[str, float | int | None] = {"slope": found.slope, "r2": found.r2}
    return MetricValue(found.value, len(sample.rows), (found.low, found.high), detail=detail)


def kad(sample: Sample) -> MetricValue:
    """Kernel distance, unbiased, with the permutation test's p."""
    x, real = sample.rows, sample.real.rows
    sums = kernel_matrices(x, real)
    interval = jackknife_interval(sums.distance, sample.groups) or (None, None)
    score = MetricValue(sums.distance(), len(x), interval, detail={"p": permutation_p(x, real)})
    return _with_real_floor(score, sample, kernel_distance)


def cosine_to_real(sample: Sample) -> MetricValue:
    """Mean cosine of a clip and a real one; the target is that of two real ones."""
    found = reference_closeness(sample.rows, sample.real.rows, sample.groups)
    interval = (found.low, found.high)
    score = MetricValue(found.mean, len(sample.rows), interval, detail={"sd": found.sd})
    return _with_real_target(score, sample, lambda rows: 1 - mean_cosine_distance(rows))


def variety_within_prompts(sample: Sample) -> MetricValue:
    """Mean cosine distance of two clips of one prompt."""
    found = sample.spread
    return MetricValue(found.within, len(sample.rows), detail={"prompts": found.n_repeated_prompts})


def variety_between_prompts(sample: Sample) -> MetricValue:
    """Cosine distance that different prompts add between two clips."""
    found = sample.spread
    return MetricValue(found.added, len(sample.rows), detail={"total": found.across})


def effective_directions(sample: Sample) -> MetricValue:
    """Participation ratio; the target is that of the real clips."""
    score = MetricValue(participation_ratio(sample.rows), len(sample.rows))
    return _with_real_target(score, sample, participation_ratio, has_interval=False)


def precision(sample: Sample) -> MetricValue:
    """Share of clips that lie among the real ones, for equal numbers of both."""
    return MetricValue(sample.prdc.precision, sample.prdc.n)


def recall(sample: Sample) -> MetricValue:
    """Share of real clips that lie among the clips, for equal numbers of both."""
    return MetricValue(sample.prdc.recall, sample.prdc.n)


def coverage(sample: Sample) -> MetricValue:
    """Share of real clips with a clip in their neighbourhood; ``real`` is the expected share."""
    found = sample.prdc
    excess = found.coverage - found.coverage_expected
    return MetricValue(
        found.coverage, found.n, real=found.coverage_expected, real_n=found.n, excess=excess
    )


def vendi(sample: Sample) -> MetricValue:
    """Effective number of different clips, for equal numbers of both sets."""
    found = vendi_scores_of_both(sample.rows, sample.real.rows)
    excess = found.score - found.reference_score
    return MetricValue(
        found.score, found.n, real=found.reference_score, real_n=found.n, excess=excess
    )


def _with_real_floor(
    score: MetricValue, sample: Sample, distance: Callable[[np.ndarray, np.ndarray], float]
) -> MetricValue:
    """Add the distance of as many real clips in the clips' place."""
    floor = real_floor(distance, sample.rows, sample.real.rows)
    if floor is None:
        return score
    return replace(
        score,
        real=floor.mean,
        real_interval=(floor.low, floor.high),
        real_n=floor.n,
        excess=floor.excess,
    )


def _with_real_target(
    score: MetricValue,
    sample: Sample,
    metric: Callable[[np.ndarray], float],
    has_interval: bool = True,
) -> MetricValue:
    """Add the metric of the real clips, and its interval if ``has_interval``."""
    if sample.reference is None or score.value is None:
        return score
    rows = sample.reference.rows
    try:
        target = metric(rows)
    except ValueError:  # fewer real clips than it needs
        return score
    groups = numbered_groups(range(len(rows))) if has_interval else []
    interval = jackknife_interval(lambda keep: metric(rows[keep]), groups)
    return replace(
        score,
        real=target,
        real_interval=interval or (None, None),
        real_n=len(rows),
        excess=score.value - target,
    )
