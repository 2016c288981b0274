"""The scores of a set of clips, one line each: add a metric here and every report shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .closeness import reference_cosine
from .diversity import embedding_diversity
from .fad import frechet_distance
from .kad import kernel_distance, kernel_sums
from .trust import TRUST, Trust

Direction = Literal["lower is closer", "higher is closer", "higher is more varied"]


@dataclass(frozen=True)
class Metric:
    """One number about unit-row embeddings of clips (n, dim) beside a reference (m, dim)."""

    title: str
    short: str
    """Its name inside a sentence."""
    score: Callable[[np.ndarray, np.ndarray], float]
    """(clips, reference) to the value; a metric of one set ignores the other."""
    direction: Direction
    about: str
    """A sentence for a reader who has not met it."""
    trust: Trust
    """From how many clips on it says something."""
    of_rows: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], float]] | None
    """(clips, reference) to a function of kept row indices, for jackknife intervals; None where
    such an interval does not hold its promise."""
    own: Callable[[np.ndarray], float] | None = None
    """What the reference scores among itself: the target. None for a distance, whose floor at
    some number of clips must be drawn."""


METRICS: dict[str, Metric] = {
    "fad": Metric(
        "Fréchet audio distance (FAD)",
        "FAD",
        frechet_distance,
        "lower is closer",
        "Distance between the two sets as bell-shaped clouds. Too high for few clips, so read it "
        "beside what as many real clips score.",
        TRUST["fad"],
        of_rows=None,
    ),
    "kad": Metric(
        "Kernel audio distance (KAD)",
        "KAD",
        kernel_distance,
        "lower is closer",
        "Distance between the two sets without a shape assumed; fair for few clips. About 0, "
        "also below, when both come from one source.",
        TRUST["kad"],
        of_rows=lambda clips, reference: kernel_sums(clips, reference).distance,
    ),
    "cosine": Metric(
        "Output-to-reference cosine",
        "Cosine to the real clips",
        reference_cosine,
        "higher is closer",
        "How alike a clip and a reference clip are on average. Above what real clips reach among "
        "themselves means blander, not better.",
        TRUST["cosine"],
        of_rows=lambda clips, reference: lambda keep: reference_cosine(clips[keep], reference),
        own=lambda reference: 1 - embedding_diversity(reference),
    ),
    "diversity": Metric(
        "Diversity",
        "Diversity",
        lambda clips, _: embedding_diversity(clips),
        "higher is more varied",
        "Mean cosine distance between the clips. The target is the reference's own.",
        TRUST["diversity"],
        of_rows=lambda clips, _: lambda keep: embedding_diversity(clips[keep]),
        own=embedding_diversity,
    ),
}
