"""Table of all metrics; every report shows what is listed here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from . import metric_values
from .metric_values import MetricValue
from .metrics.closeness import reference_cosine
from .metrics.diversity import mean_cosine_distance
from .metrics.kad import kernel_matrices
from .sample import Sample
from .trust import TRUST, Trust

Aim = Literal["low", "high", "real"]
"""Which values are better: lower, higher, or closer to those of the real clips."""


@dataclass(frozen=True)
class Metric:
    """A metric of a set of clips, with the texts that explain it."""

    title: str
    short: str
    """Name inside a sentence."""
    evaluate: Callable[[Sample], MetricValue]
    """Computes the value for a sample; ValueError, with the reason, if it has none."""
    aim: Aim
    trust: Trust
    """Fewest clips for which it is reliable."""
    about: str
    """Explanation for readers who do not know the metric."""
    make_score_of_rows: Callable[[Sample], Callable[[np.ndarray], float]] | None = None
    """Makes a function from kept row indices to the score, for the interval of a paired change.

    None if such an interval has too little coverage.
    """
    is_share: bool = False
    """Whether the value is shown in percent."""


def _clap_score_of_rows(sample: Sample) -> Callable[[np.ndarray], float]:
    """A function from kept row indices to the mean cosine of audio and prompt; 0 without prompts.

    Rows without a prompt do not count.
    """
    assert sample.texts is not None
    has_prompt = np.array([bool(prompt) for prompt in sample.prompts])
    texts = np.zeros(sample.rows.shape)
    texts[has_prompt] = [sample.texts[prompt] for prompt in sample.prompts if prompt]
    cosines = (sample.rows * texts).sum(1)
    return lambda keep: float(cosines[keep].sum() / max(has_prompt[keep].sum(), 1))


METRICS: dict[str, Metric] = {
    "clap_score": Metric(
        "Text-audio similarity",
        "Text-audio similarity",
        metric_values.clap_similarity,
        "high",
        TRUST["clap_score"],
        "Mean cosine of each clip and its own prompt. It has no absolute scale: compare it with "
        "that of other clips' prompts, and of real clips with their captions.",
        make_score_of_rows=_clap_score_of_rows,
    ),
    "diversity": Metric(
        "Diversity",
        "Diversity",
        metric_values.diversity,
        "real",
        TRUST["diversity"],
        "Mean cosine distance of two clips, equal to the trace of their covariance. The target is "
        "the diversity of the real clips.",
        make_score_of_rows=lambda s: lambda keep: mean_cosine_distance(s.rows[keep]),
    ),
    "fad": Metric(
        "Fréchet distance (FAD)",
        "FAD",
        metric_values.fad,
        "low",
        TRUST["fad"],
        "Distance between Gaussians fitted to clips and to real clips. Biased upward for few "
        "clips, so compare it with the score of as many real clips.",
    ),
    "cosine": Metric(
        "Output to test-set cosine",
        "Cosine to the real clips",
        metric_values.cosine_to_real,
        "real",
        TRUST["cosine"],
        "Mean similarity of a clip and a real clip. A value above that of real clips among "
        "themselves means blander, not better.",
        make_score_of_rows=lambda s: lambda keep: reference_cosine(s.rows[keep], s.real.rows),
    ),
    "kad": Metric(
        "Kernel distance (KAD)",
        "KAD",
        metric_values.kad,
        "low",
        TRUST["kad"],
        "Distance between the two sets that assumes no shape; unbiased for few clips. About 0, or "
        "slightly below, if both come from one source.",
        make_score_of_rows=lambda s: kernel_matrices(s.rows, s.real.rows).distance,
    ),
    "fad_inf": Metric(
        "Extrapolated FAD (FAD-inf)",
        "FAD-inf",
        metric_values.fad_inf,
        "low",
        TRUST["fad_inf"],
        "FAD without the bias of few clips, extrapolated to infinitely many.",
    ),
    "retrieval": Metric(
        "Retrieval R@1",
        "Retrieval",
        metric_values.retrieval,
        "high",
        TRUST["retrieval"],
        "Share of clips whose own prompt is more similar than every other prompt.",
        is_share=True,
    ),
    "within": Metric(
        "Variety within a prompt",
        "Variety within a prompt",
        metric_values.variety_within_prompts,
        "real",
        TRUST["spread"],
        "Mean cosine distance of two clips of one prompt; near 0 if a prompt always gives the same "
        "clip.",
    ),
    "between": Metric(
        "Variety between prompts",
        "Variety between prompts",
        metric_values.variety_between_prompts,
        "real",
        TRUST["spread"],
        "Cosine distance that different prompts add between two clips; near 0 if all prompts give "
        "the same music.",
    ),
    "participation_ratio": Metric(
        "Participation ratio",
        "The number of directions",
        metric_values.effective_directions,
        "real",
        TRUST["participation_ratio"],
        "Effective number of directions in which clips differ, whatever their distance.",
    ),
    "precision": Metric(
        "Precision",
        "Precision",
        metric_values.precision,
        "high",
        TRUST["prdc"],
        "Share of clips that lie among the real ones, for equal numbers of both.",
        is_share=True,
    ),
    "recall": Metric(
        "Recall",
        "Recall",
        metric_values.recall,
        "high",
        TRUST["prdc"],
        "Share of real clips that lie among the clips, for equal numbers of both.",
        is_share=True,
    ),
    "coverage": Metric(
        "Coverage",
        "Coverage",
        metric_values.coverage,
        "high",
        TRUST["prdc"],
        "Share of real clips that have a clip close by, for equal numbers of both. Beside it: the "
        "share that as many other real clips would cover.",
        is_share=True,
    ),
    "vendi": Metric(
        "Vendi score",
        "The Vendi score",
        metric_values.vendi,
        "real",
        TRUST["vendi"],
        "Effective number of different clips, for equal numbers of both sets.",
    ),
}
HEADLINE = ("clap_score", "diversity", "fad", "cosine")
"""The main scores, which a report shows first."""
