"""The scores of a set of clips, one entry each: add a metric here and every report shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from . import figures
from .figures import Figure
from .metrics.closeness import reference_cosine
from .metrics.diversity import embedding_diversity
from .metrics.kad import kernel_sums
from .sample import Sample
from .trust import TRUST, Trust

Aim = Literal["low", "high", "real"]
"""Which way is better: down, up, or toward what the real clips reach among themselves."""


@dataclass(frozen=True)
class Metric:
    """One number about a set of clips; ValueError says why a sample is too poor for it."""

    title: str
    short: str
    """Its name inside a sentence."""
    measure: Callable[[Sample], Figure]
    aim: Aim
    trust: Trust
    """From how many clips on it says something."""
    about: str
    """A sentence for a reader who has not met it."""
    of_rows: Callable[[Sample], Callable[[np.ndarray], float]] | None = None
    """To a function of kept row indices, for the interval of a paired change; None where such an
    interval does not hold its promise."""
    is_share: bool = False
    """Shown in percent."""


def _clap_of_rows(sample: Sample) -> Callable[[np.ndarray], float]:
    assert sample.texts is not None
    texts = np.stack([sample.texts[prompt or ""] for prompt in sample.prompts])
    own = (sample.rows.astype(np.float64) * texts).sum(1)
    return lambda keep: float(own[keep].mean())


METRICS: dict[str, Metric] = {
    "clap_score": Metric(
        "Text-audio similarity",
        "Text-audio similarity",
        figures.clap_fit,
        "high",
        TRUST["clap_score"],
        "Mean cosine of each clip and its own prompt. It has no scale of its own: what counts is "
        "the gap to other clips' prompts, and what real clips reach with their captions.",
        of_rows=_clap_of_rows,
    ),
    "diversity": Metric(
        "Diversity",
        "Diversity",
        figures.diversity,
        "real",
        TRUST["diversity"],
        "Mean cosine distance of two clips, which is also the trace of their covariance. The "
        "target is the real clips' own.",
        of_rows=lambda s: lambda keep: embedding_diversity(s.rows[keep]),
    ),
    "fad": Metric(
        "Fréchet distance (FAD)",
        "FAD",
        figures.fad,
        "low",
        TRUST["fad"],
        "Distance between clips and real clips as bell-shaped clouds. Too high for few clips, so "
        "read its excess over what as many real clips score.",
    ),
    "cosine": Metric(
        "Output to test-set cosine",
        "Cosine to the real clips",
        figures.cosine,
        "real",
        TRUST["cosine"],
        "How alike a clip and a real clip are on average. Above what real clips reach among "
        "themselves means blander, not better.",
        of_rows=lambda s: lambda keep: reference_cosine(s.rows[keep], s.real.rows),
    ),
    "kad": Metric(
        "Kernel distance (KAD)",
        "KAD",
        figures.kad,
        "low",
        TRUST["kad"],
        "Distance between the two sets without a shape assumed; fair for few clips. About 0, "
        "also below, when both come from one source.",
        of_rows=lambda s: kernel_sums(s.rows, s.real.rows).distance,
    ),
    "fad_inf": Metric(
        "FAD of endless clips (FAD-inf)",
        "FAD-inf",
        figures.fad_inf,
        "low",
        TRUST["fad_inf"],
        "FAD without the bias of few clips, by extrapolation.",
    ),
    "retrieval": Metric(
        "Retrieval R@1",
        "Retrieval",
        figures.retrieval,
        "high",
        TRUST["retrieval"],
        "Share of clips whose own prompt fits better than every other prompt.",
        is_share=True,
    ),
    "within": Metric(
        "Variety within a prompt",
        "Variety within a prompt",
        figures.within,
        "real",
        TRUST["spread"],
        "Mean cosine distance of two clips of one prompt; near 0 where a prompt always gives the "
        "same clip.",
    ),
    "between": Metric(
        "Variety between prompts",
        "Variety between prompts",
        figures.between,
        "real",
        TRUST["spread"],
        "What different prompts add to the distance of two clips; near 0 where all prompts give "
        "the same music.",
    ),
    "participation_ratio": Metric(
        "Participation ratio",
        "The number of directions",
        figures.directions,
        "real",
        TRUST["participation_ratio"],
        "In how many directions the clips differ, however far: a second opinion on diversity.",
    ),
    "precision": Metric(
        "Precision",
        "Precision",
        figures.precision,
        "high",
        TRUST["prdc"],
        "Share of clips that lie among the real ones, at equal numbers of both.",
        is_share=True,
    ),
    "recall": Metric(
        "Recall",
        "Recall",
        figures.recall,
        "high",
        TRUST["prdc"],
        "Share of real clips that lie among the clips, at equal numbers of both.",
        is_share=True,
    ),
    "coverage": Metric(
        "Coverage",
        "Coverage",
        figures.coverage,
        "high",
        TRUST["prdc"],
        "Share of real clips that have a clip close by, at equal numbers of both; beside it what "
        "as many fresh real clips would cover.",
        is_share=True,
    ),
    "vendi": Metric(
        "Vendi score",
        "The Vendi score",
        figures.vendi,
        "real",
        TRUST["vendi"],
        "As how many entirely different clips the set counts, at equal numbers of both.",
    ),
}
HEADLINE = ("clap_score", "diversity", "fad", "cosine")
"""The scores that a report begins with."""
