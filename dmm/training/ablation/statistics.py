"""Statistics of presets compared over a few seeds: intervals, paired t tests, Holm's correction.

Student's t on the values, and on their differences to the baseline's with the same seed: equal
seeds give the same order of clips and the same noise, whose effect cancels out. Correction for
several presets by Holm (1979, Scandinavian Journal of Statistics 6, 65-70).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize, stats

LEVEL = 0.95
POWER = 0.8
"""Conventional power: the chance that a test detects a difference."""
FEW = 10
"""With fewer seeds a note says what the table cannot show."""

Values = Mapping[int, float | None]
"""Seed to value; None or NaN if a run failed or did not measure it."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval."""

    n: int
    mean: float | None
    low: float | None
    """Lower end of the interval; None with fewer than two values."""
    high: float | None
    missing: tuple[int, ...]
    """Seeds without a value; the mean of the others may be too favourable."""


@dataclass(frozen=True)
class Difference:
    """Mean difference of a preset to the baseline, with equal seeds."""

    n: int
    """Number of seeds at which both have a value."""
    mean: float | None
    low: float | None
    high: float | None
    t: float | None
    p: float | None
    """Two-sided; None with fewer than two pairs, or if all pairs differ by the same amount."""
    p_holm: float | None = None
    """Corrected for the number of presets that are compared with the baseline."""


def estimate(values: Values) -> Estimate:
    """Mean and t interval of the finite values; other seeds are listed as missing.

    >>> estimate({0: 1.0, 1: 3.0, 2: None})
    Estimate(n=2, mean=2.0, low=-10.706..., high=14.706..., missing=(2,))
    """
    found = _finite(values)
    missing = tuple(sorted(set(values) - set(found)))
    return Estimate(len(found), *_mean_interval(list(found.values())), missing)


def paired_difference(values: Values, baseline: Values) -> Difference:
    """Paired t test of a preset against the baseline, over the seeds that both have.

    >>> paired_difference({0: 2.0, 1: 4.0, 2: 3.0}, {0: 1.0, 1: 1.0, 2: 1.0}).mean
    2.0
    """
    ours, theirs = _finite(values), _finite(baseline)
    pairs = np.array([ours[seed] - theirs[seed] for seed in sorted(set(ours) & set(theirs))])
    mean, low, high = _mean_interval(list(pairs))
    if len(pairs) < 2 or _all_equal(pairs):
        return Difference(len(pairs), mean, low, high, None, None)
    t = float(pairs.mean() / (pairs.std(ddof=1) / math.sqrt(len(pairs))))
    p = float(2 * stats.t.sf(abs(t), len(pairs) - 1))
    return Difference(len(pairs), mean, low, high, t, p)


def with_holm(differences: Mapping[str, Difference]) -> dict[str, Difference]:
    """The differences of several presets with their corrected p values."""
    corrected = holm([difference.p for difference in differences.values()])
    return {
        name: replace(difference, p_holm=p)
        for (name, difference), p in zip(differences.items(), corrected, strict=True)
    }


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down p values in the given order; None is no test and is not counted.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    so_far = 0.0
    for rank, (p, place) in enumerate(tested):
        so_far = max(so_far, min(1.0, p * (len(tested) - rank)))
        corrected[place] = so_far
    return corrected


def detectable_effect(n: int) -> float:
    """True difference that ``n`` pairs detect 80 % of the time, in sds of the paired differences.

    The test is the two-sided paired t test at 5 %; its F statistic has noncentrality
    ``n * effect**2``. ValueError below two pairs.
    """
    if n < 2:
        raise ValueError(f"a test needs 2 pairs or more; got {n}")
    critical = stats.f.ppf(LEVEL, 1, n - 1)  # t squared is F, and its tails become one

    def lacking(effect: float) -> float:
        return float(stats.ncf.sf(critical, 1, n - 1, n * effect**2)) - POWER

    found: Any = optimize.brentq(lacking, 1e-3, 20.0, xtol=1e-6)
    return float(found)


def few_seeds_warning(n: int) -> str | None:
    """A warning on what ``n`` seeds cannot show; None for ten or more."""
    if n >= FEW:
        return None
    if n < 2:
        return "One seed: no interval and no test; any difference may be chance."
    return (
        f"{n} seeds: a test is likely to detect only a difference above {detectable_effect(n):.1f} "
        f"times the spread of the paired differences (their standard deviation), and it takes "
        f"them as normally distributed; without that assumption p could not fall below "
        f"{2 / 2**n:.3g}. No difference found is not the same as no difference."
    )


def _finite(values: Values) -> dict[int, float]:
    return {seed: v for seed, v in values.items() if v is not None and math.isfinite(v)}


def _mean_interval(
    values: Sequence[float],
) -> tuple[float | None, float | None, float | None]:
    """Mean and ends of its t interval; None where there are too few values."""
    if not values:
        return None, None, None
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * spread
    return mean, mean - half, mean + half


def _all_equal(differences: np.ndarray) -> bool:
    """Whether all differences are equal up to rounding, for which t would be infinite."""
    return float(np.ptp(differences)) <= 1e-12 * max(1.0, float(np.abs(differences).max()))
