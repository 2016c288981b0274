"""Precision, recall and coverage: clips among the real ones, and real ones among the clips.

Improved precision and recall: Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991.
Coverage: Naeem et al. 2020, https://arxiv.org/abs/2002.09797. Their density is left out: a bland
set, all of it near the middle of the reference, scores far above real clips.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .distances import squared_distances

NEIGHBOURS = 5
DRAWS = 10
MIN_CLIPS = 30
"""Below this, chance alone moves the shares by more than a real fault does."""


@dataclass(frozen=True)
class Prdc:
    """Shares 0..1, higher is better; comparable only at equal ``n`` and neighbours."""

    precision: float
    """Clips that lie in the ball of some real clip, which reaches to its 5th real neighbour."""
    recall: float
    """Real clips that lie in the ball of some clip."""
    coverage: float
    """Real clips in whose ball some clip lies; sturdier against outliers than recall."""
    coverage_expected: float
    """Coverage by as many fresh real clips, on average."""
    n: int
    """Clips of each set in a draw: the smaller set's number."""


def precision_recall_coverage(
    x: Float[np.ndarray, "n dim"],
    reference: Float[np.ndarray, "m dim"],
    seed: int = 0,
    neighbours: int = NEIGHBOURS,
) -> Prdc:
    """Compare at matched numbers: the larger set is thinned at random, ten times, and averaged.

    Unmatched, the balls of 1000 real clips are so small that 10 perfect clips cover 5 % of them.
    Raises ValueError if either set has fewer than 30 clips.
    """
    n = min(len(x), len(reference))
    if n < MIN_CLIPS:
        sizes = f"{len(x)} and {len(reference)}"
        raise ValueError(f"precision and recall need {MIN_CLIPS} or more clips; got {sizes}")
    rng = np.random.default_rng(seed)
    thinned = len(x) != len(reference)
    found = np.array(
        [
            _shares(_draw(x, n, rng), _draw(reference, n, rng), neighbours)
            for _ in range(DRAWS if thinned else 1)
        ]
    )
    precision, recall, coverage = found.mean(0).tolist()
    return Prdc(precision, recall, coverage, expected_coverage(n, n, neighbours), n)


def expected_coverage(clips: int, reference: int, neighbours: int = NEIGHBOURS) -> float:
    """Mean coverage when both sets come from one source (Naeem et al. 2020, appendix).

    A ball is missed if its real clip's nearest neighbours among all others are real ones.

    >>> round(expected_coverage(10, 1000), 3), round(expected_coverage(1000, 1000), 3)
    (0.049, 0.969)
    """
    nearer = np.arange(1, neighbours + 1)
    return float(1 - np.prod((reference - nearer) / (reference + clips - nearer)))


def _draw(
    rows: Float[np.ndarray, "n dim"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "count dim"]:
    return rows[np.sort(rng.choice(len(rows), count, replace=False))]


def _shares(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"], neighbours: int
) -> tuple[float, float, float]:
    """Precision, recall and coverage as they are."""
    between = squared_distances(x, reference)
    in_real_ball = between <= _squared_radii(reference, neighbours)
    in_own_ball = between <= _squared_radii(x, neighbours)[:, None]
    shares = (in_real_ball.any(1), in_own_ball.any(0), in_real_ball.any(0))
    precision, recall, coverage = (float(share.mean()) for share in shares)
    return precision, recall, coverage


def _squared_radii(rows: Float[np.ndarray, "n dim"], neighbours: int) -> Float[np.ndarray, " n"]:
    """Squared distance of each row to its k-th nearest other row."""
    squares = squared_distances(rows, rows)
    np.fill_diagonal(squares, np.inf)
    return np.partition(squares, neighbours - 1, axis=1)[:, neighbours - 1]
