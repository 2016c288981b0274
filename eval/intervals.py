"""Confidence intervals of scores over prompts, and the score that real clips reach (the floor).

Clips of one prompt are alike, so both methods resample whole prompts. For 12 prompts of 5 clips, an
interval over single clips covers the truth in 65 % of cases instead of 95 %.

Pairwise scores use the jackknife: a bootstrap repeats rows, and a repeated row is at distance 0
from itself, so that it covers the truth too seldom (16 % instead of 95 % for KAD at 10 clips).
Means of one number a clip use the bootstrap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

MIN_GROUPS = 5
"""Fewest groups for an interval."""
FLOOR_DRAWS = 20
"""Number of random subsets of real clips per floor."""
RESAMPLES = 10_000
"""Number of bootstrap samples."""


def jackknife_interval(
    score: Callable[[np.ndarray], float], groups: Sequence[object], level: float = 0.95
) -> tuple[float, float] | None:
    """Jackknife-t interval of ``score(indices of kept rows)``, leaving out one group at a time.

    ``groups`` is the group of each row, usually its prompt. None below five groups. The reference
    counts as fixed.

    The interval is centred on the score itself. The mean pseudo-value estimates the score for
    infinitely many prompts, which for KAD of 12 prompts with 5 seeds lies elsewhere (coverage 52 %
    instead of 99 %). Simulated coverage of KAD, cosine and diversity: 93 to 99 %.

    >>> values = np.arange(10.0)
    >>> low, high = jackknife_interval(lambda keep: values[keep].mean(), range(10))
    >>> round(low, 2), round(high, 2)  # the t interval of a mean
    (2.33, 6.67)
    """
    names = list(dict.fromkeys(groups))
    if len(names) < MIN_GROUPS:
        return None
    rows, count = np.arange(len(groups)), len(names)
    is_in_group = {name: np.array([g == name for g in groups]) for name in names}
    whole = score(rows)
    without = np.array([score(rows[~is_in_group[name]]) for name in names])
    pseudo = count * whole - (count - 1) * without
    half = stats.t.ppf((1 + level) / 2, count - 1) * pseudo.std(ddof=1) / np.sqrt(count)
    return float(whole - half), float(whole + half)


def prompt_bootstrap(
    values: Float[np.ndarray, " n"], prompts: Sequence[object], seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """Bootstrap interval of the mean of one number a clip, resampling whole prompts.

    For paired clips, pass the differences. None below five prompts.

    Plain percentiles are too narrow for few prompts, so they are expanded by Student's t
    (Hesterberg 2015, https://arxiv.org/abs/1411.5279). Simulated coverage for 5 to 12 prompts: 93
    to 95 % instead of 83 to 91 %; with skewed prompt means 90 to 93 %.
    """
    names = list(dict.fromkeys(prompts))
    if len(names) < MIN_GROUPS:
        return None
    count, place = len(names), {name: index for index, name in enumerate(names)}
    prompt_index = np.array([place[prompt] for prompt in prompts])
    sums, sizes = np.bincount(prompt_index, values), np.bincount(prompt_index)
    resampled = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    means = sums[resampled].sum(1) / sizes[resampled].sum(1)
    reach = stats.t.ppf((1 + level) / 2, count - 1) * np.sqrt(count / (count - 1))
    low, high = np.quantile(means, stats.norm.cdf([-reach, reach]))
    return float(low), float(high)


@dataclass(frozen=True)
class Floor:
    """Score of real clips compared with other real clips."""

    mean: float
    low: float
    """5th percentile over the random subsets."""
    high: float
    """95th percentile over the random subsets."""
    n: int
    """Clips in a subset: the number of scored clips, at most half of the reference."""
    excess: float
    """Mean of (score of n clips - score of n real clips), both compared with the same rest."""


def real_floor(
    score: Callable[[np.ndarray, np.ndarray], float],
    x: Float[np.ndarray, "n dim"],
    reference: Float[np.ndarray, "m dim"],
    seed: int = 0,
) -> Floor | None:
    """Score random subsets of the reference against the rest of it; None for too few clips.

    In ``excess`` the bias of few clips cancels, because as many clips are scored against the same
    rest. None below two clips or four reference clips.
    """
    n = min(len(x), len(reference) // 2)
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    real, excess = [], []
    for _ in range(FLOOR_DRAWS):
        order = rng.permutation(len(reference))
        rest = reference[order[n:]]
        real.append(score(reference[order[:n]], rest))
        excess.append(score(x[rng.permutation(len(x))[:n]], rest) - real[-1])
    low, high = np.percentile(real, [5, 95])
    return Floor(float(np.mean(real)), float(low), float(high), n, float(np.mean(excess)))
