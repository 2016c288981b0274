"""Every figure of a set of clips with its interval, what real clips reach, and what belongs to it.

A function for each; ``eval.metric_table`` names them. A ValueError's text says why a figure cannot
be had: it is shown in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .intervals import jackknife_interval, real_floor
from .metrics.closeness import reference_closeness
from .metrics.diversity import embedding_diversity, participation_ratio
from .metrics.fad import frechet_distance, gaussian_distance, statistics
from .metrics.fad_inf import fad_infinity
from .metrics.kad import kernel_distance, kernel_sums, permutation_p
from .metrics.vendi import vendi_pair
from .sample import Sample, merged

Span = tuple[float | None, float | None]


@dataclass(frozen=True)
class Figure:
    """One number and what is needed to believe it; None where a part cannot be had."""

    value: float | None
    n: int
    """Clips that it came from."""
    span: Span = (None, None)
    """95 % interval of the value."""
    real: float | None = None
    """What real clips reach: in the clips' place and number, or among themselves."""
    real_span: Span = (None, None)
    real_n: int | None = None
    """Real clips that say so; fewer than the clips if there are not enough of them."""
    excess: float | None = None
    """The value less ``real``: where real clips stand in, the bias of few clips cancels."""
    detail: dict[str, float | int | None] = field(default_factory=dict)
    """What else belongs to it, by the names in ``eval.words``."""
    why_not: str | None = None
    """Why there is no value."""


def clap_fit(sample: Sample) -> Figure:
    """Cosine of sound and own prompt, beside that of sound and other prompts."""
    found, real = sample.clap, sample.real_clap if sample.reference else None
    detail = {"sd": found.sd, "shuffled_mean": found.shuffled_mean, "gap": found.gap}
    return Figure(
        found.mean,
        found.n,
        (found.low, found.high),
        real=real and real.mean,
        real_span=(real.low, real.high) if real else (None, None),
        real_n=real and real.n,
        excess=found.mean - real.mean if real else None,
        detail=detail | {"p": found.p, "prompts": found.n_prompts},
    )


def retrieval(sample: Sample) -> Figure:
    """Share of clips whose own prompt fits best of all prompts."""
    found, real = sample.clap, sample.real_clap if sample.reference else None
    if found.recall_at_1 is None:
        raise ValueError("needs 2 or more prompts to choose from; got 1")
    return Figure(
        found.recall_at_1,
        found.n,
        real=real and real.recall_at_1,
        real_n=real and real.n,
        detail={"chance": 1 / found.n_prompts},
    )


def diversity(sample: Sample) -> Figure:
    """Mean cosine distance of two clips; the real clips' own is the target."""
    rows = sample.rows
    span = jackknife_interval(lambda keep: embedding_diversity(rows[keep]), sample.groups)
    value = embedding_diversity(rows)
    return _beside_own(Figure(value, len(rows), span or (None, None)), sample, embedding_diversity)


def fad(sample: Sample) -> Figure:
    """Fréchet distance; ``real`` is that of as many real clips to the others."""
    value = gaussian_distance(statistics(sample.rows), sample.real.gaussian)
    return _beside_floor(Figure(value, len(sample.rows)), sample, frechet_distance)


def fad_inf(sample: Sample) -> Figure:
    """Fréchet distance extrapolated to endless clips."""
    found = fad_infinity(sample.rows, sample.real.rows)
    detail: dict[str, float | int | None] = {"slope": found.slope, "r2": found.r2}
    return Figure(found.value, len(sample.rows), (found.low, found.high), detail=detail)


def kad(sample: Sample) -> Figure:
    """Kernel distance, unbiased, with the permutation test's p."""
    x, real = sample.rows, sample.real.rows
    sums = kernel_sums(x, real)
    span = jackknife_interval(sums.distance, sample.groups) or (None, None)
    figure = Figure(sums.distance(), len(x), span, detail={"p": permutation_p(x, real)})
    return _beside_floor(figure, sample, kernel_distance)


def cosine(sample: Sample) -> Figure:
    """Mean cosine of a clip and a real one; what real ones reach among themselves is the target."""
    found = reference_closeness(sample.rows, sample.real.rows, sample.groups)
    figure = Figure(found.mean, len(sample.rows), (found.low, found.high), detail={"sd": found.sd})
    return _beside_own(figure, sample, lambda rows: 1 - embedding_diversity(rows))


def within(sample: Sample) -> Figure:
    """Mean cosine distance of two clips of one prompt."""
    found = sample.spread
    return Figure(found.within, len(sample.rows), detail={"prompts": found.n_prompts})


def between(sample: Sample) -> Figure:
    """What different prompts add to the distance of two clips."""
    found = sample.spread
    return Figure(found.between, len(sample.rows), detail={"total": found.total})


def directions(sample: Sample) -> Figure:
    """Participation ratio; the real clips' own is the target."""
    figure = Figure(participation_ratio(sample.rows), len(sample.rows))
    return _beside_own(figure, sample, participation_ratio, sure=False)


def precision(sample: Sample) -> Figure:
    """Share of clips among the real ones, at matched numbers."""
    return Figure(sample.prdc.precision, sample.prdc.n)


def recall(sample: Sample) -> Figure:
    """Share of real clips among the clips, at matched numbers."""
    return Figure(sample.prdc.recall, sample.prdc.n)


def coverage(sample: Sample) -> Figure:
    """Share of real clips with a clip in their neighbourhood; ``real`` is what is expected."""
    found = sample.prdc
    excess = found.coverage - found.coverage_expected
    return Figure(
        found.coverage, found.n, real=found.coverage_expected, real_n=found.n, excess=excess
    )


def vendi(sample: Sample) -> Figure:
    """Effective number of different clips, of both sets at equal numbers."""
    found = vendi_pair(sample.rows, sample.real.rows)
    excess = found.clips - found.reference
    return Figure(found.clips, found.n, real=found.reference, real_n=found.n, excess=excess)


def _beside_floor(
    figure: Figure, sample: Sample, score: Callable[[np.ndarray, np.ndarray], float]
) -> Figure:
    """With what real clips score in the clips' place."""
    floor = real_floor(score, sample.rows, sample.real.rows)
    if floor is None:
        return figure
    return replace(
        figure,
        real=floor.mean,
        real_span=(floor.low, floor.high),
        real_n=floor.n,
        excess=floor.excess,
    )


def _beside_own(
    figure: Figure, sample: Sample, own: Callable[[np.ndarray], float], sure: bool = True
) -> Figure:
    """With what the real clips score among themselves, and its interval if that holds."""
    if sample.reference is None or figure.value is None:
        return figure
    rows = sample.reference.rows
    try:
        target = own(rows)
    except ValueError:  # fewer real clips than it needs
        return figure
    groups = merged(range(len(rows))) if sure else []
    span = jackknife_interval(lambda keep: own(rows[keep]), groups)
    return replace(
        figure,
        real=target,
        real_span=span or (None, None),
        real_n=len(rows),
        excess=figure.value - target,
    )
