"""Precision, recall and coverage: shares of clips among real ones, and of real ones among clips.

Improved precision and recall: Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991.
Coverage: Naeem et al. 2020, https://arxiv.org/abs/2002.09797. Their density is omitted: a bland
set near the middle of the reference scores far above real clips.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .distances import squared_distances

NEIGHBOURS = 5
DRAWS = 10
"""Random subsets of the larger set."""
MIN_CLIPS = 30
"""Fewest clips: with fewer, chance changes the shares more than real faults do."""


@dataclass(frozen=True)
class Prdc:
    """Shares 0..1, higher is better; comparable only for equal ``n`` and ``neighbours``."""

    precision: float
    """Clips in the ball of some real clip; its radius reaches the 5th nearest real clip."""
    recall: float
    """Real clips in the ball of some clip."""
    coverage: float
    """Real clips whose ball holds some clip; more robust to outliers than recall."""
    coverage_expected: float
    """Mean coverage by as many other real clips."""
    n: int
    """Clips of each set that are compared: the number of the smaller set."""


def precision_recall_coverage(
    x: Float[np.ndarray, "n dim"],
    reference: Float[np.ndarray, "m dim"],
    seed: int = 0,
    neighbours: int = NEIGHBOURS,
) -> Prdc:
    """Compare equal numbers of clips: shares are means over ten random subsets of the larger set.

    With unequal numbers, 10 perfect clips would cover only 5 % of 1000 real clips. Raises
    ValueError if either set has fewer than 30 clips.
    """
    n = min(len(x), len(reference))
    if n < MIN_CLIPS:
        sizes = f"{len(x)} and {len(reference)}"
        raise ValueError(f"precision and recall need {MIN_CLIPS} or more clips; got {sizes}")
    rng = np.random.default_rng(seed)
    thinned = len(x) != len(reference)
    found = np.array(
        [
            _precision_recall_coverage(
                _random_rows(x, n, rng), _random_rows(reference, n, rng), neighbours
            )
            for _ in range(DRAWS if thinned else 1)
        ]
    )
    precision, recall, coverage = found.mean(0).tolist()
    return Prdc(precision, recall, coverage, expected_coverage(n, n, neighbours), n)


def expected_coverage(clips: int, reference: int, neighbours: int = NEIGHBOURS) -> float:
    """Mean coverage if both sets come from one source (Naeem et al. 2020, appendix).

    A ball holds no clip if its real clip's nearest neighbours among all clips are real ones.

    >>> round(expected_coverage(10, 1000), 3), round(expected_coverage(1000, 1000), 3)
    (0.049, 0.969)
    """
    nearer = np.arange(1, neighbours + 1)
    return float(1 - np.prod((reference - nearer) / (reference + clips - nearer)))


def _random_rows(
    rows: Float[np.ndarray, "n dim"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "count dim"]:
    return rows[np.sort(rng.choice(len(rows), count, replace=False))]


def _precision_recall_coverage(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"], neighbours: int
) -> tuple[float, float, float]:
    """Precision, recall and coverage of two sets."""
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
