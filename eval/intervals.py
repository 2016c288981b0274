"""How sure a score is: intervals over prompts, and the floor that real clips reach.

Clips of one prompt are alike, so prompts are drawn or left out, never single clips of them: for 12
prompts of 5 clips, an interval over clips holds the truth 65 times in 100 instead of 95.

A bootstrap repeats rows, and a repeated row is at distance 0 from itself: for pairwise scores it
covers the truth far too seldom (16 % instead of 95 % for KAD at 10 clips). Leaving rows out has no
such flaw, hence the jackknife for those and the bootstrap for means of one number a clip.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

MIN_GROUPS = 5
"""Fewer than this many groups say too little about spread for an interval."""
FLOOR_DRAWS = 20
RESAMPLES = 10_000


def jackknife_interval(
    score: Callable[[np.ndarray], float], groups: Sequence[object], level: float = 0.95
) -> tuple[float, float] | None:
    """Jackknife-t interval of ``score(kept row indices)``, leaving out one group at a time.

    ``groups`` names each row's group: clips of one prompt are not independent, so they leave
    together. None if there are fewer than five groups. The reference counts as fixed.

    Centred on the score itself, not on the mean pseudo-value: that one estimates the score at
    endlessly many prompts, which for KAD of 12 prompts with 5 seeds lies outside (52 % coverage
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
    own = {name: np.array([g == name for g in groups]) for name in names}
    whole = score(rows)
    without = np.array([score(rows[~own[name]]) for name in names])
    pseudo = count * whole - (count - 1) * without
    half = stats.t.ppf((1 + level) / 2, count - 1) * pseudo.std(ddof=1) / np.sqrt(count)
    return float(whole - half), float(whole + half)


def prompt_bootstrap(
    values: Float[np.ndarray, " n"], prompts: Sequence[object], seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """Bootstrap interval of the mean of one number a clip, drawing whole prompts.

    For paired clips, pass the differences. None if there are fewer than five prompts: so one
    prompt with many clips has no interval, which says nothing about other prompts anyway.

    The plain percentiles are too narrow for few prompts; taken as far out as Student's t says
    (the expanded percentile interval of Hesterberg 2015, https://arxiv.org/abs/1411.5279) they
    held the truth in 93 to 95 % instead of 83 to 91 % of simulated sets of 5 to 12 prompts (90 to
    93 % where prompt means are lopsided).
    """
    names = list(dict.fromkeys(prompts))
    if len(names) < MIN_GROUPS:
        return None
    count, place = len(names), {name: index for index, name in enumerate(names)}
    own = np.array([place[prompt] for prompt in prompts])
    sums, sizes = np.bincount(own, values), np.bincount(own)
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    reach = stats.t.ppf((1 + level) / 2, count - 1) * np.sqrt(count / (count - 1))
    low, high = np.quantile(means, stats.norm.cdf([-reach, reach]))
    return float(low), float(high)


@dataclass(frozen=True)
class Floor:
    """What real clips score against other real clips, at a number of clips."""

    mean: float
    low: float
    """5th percentile of the draws."""
    high: float
    """95th percentile of the draws."""
    n: int
    """Clips in a draw: as many as were scored, or half the reference if that is fewer."""
    excess: float
    """Mean of (score of n clips - score of n real clips), both against the same rest."""


def real_floor(
    score: Callable[[np.ndarray, np.ndarray], float],
    x: Float[np.ndarray, "n dim"],
    reference: Float[np.ndarray, "m dim"],
    seed: int = 0,
) -> Floor | None:
    """Draw real clips from the reference, score them against the rest; None below four clips.

    The draws are disjoint from what they are scored against, and the clips are scored against
    the same rest in the same number, so that the bias of few clips cancels in ``excess``.
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
