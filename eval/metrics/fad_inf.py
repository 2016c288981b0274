"""FAD at endlessly many clips, by extrapolation (Gui et al. 2023, https://arxiv.org/abs/2311.01616).

FAD of n clips is too high by about slope / n: over 1/n it is a line, and its value at 0 is FAD
without that bias (Chong and Forsyth 2019, https://arxiv.org/abs/1911.07023). Both sets are thinned
here, because few reference clips raise FAD in the same way, and no clip is drawn twice: thinning
one set alone left .016 where 0 was true at 1000 clips, both leave .002.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from .fad import frechet_distance

MIN_CLIPS = 1000
"""Below it FAD of 512 dimensions is no line: .13 at 100 clips and .05 at 300 where 0 is true."""
SIZES = 8
GROUPS = 10


@dataclass(frozen=True)
class FadInfinity:
    """The intercept of a line through FAD over 1/n."""

    value: float
    """Lower is closer; below 0 by chance: not clipped."""
    low: float
    """95 % interval, from leaving out tenths of both sets."""
    high: float
    slope: float
    """FAD of n clips against n is about ``value + slope / n``."""
    r2: float
    """Share of the variance over sizes that the line explains: well below 1, do not trust it."""
    sizes: tuple[int, ...]
    """Clips of each set in the FADs, evenly spaced in 1/n."""


def fad_infinity(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"], seed: int = 0
) -> FadInfinity:
    """Extrapolate from the smaller set's number and half of it; some seconds for 1000 clips.

    Simulated at 1000 clips against 1000 in 512 dimensions: .002 too high, and the interval held the
    truth in 85 to 90 % of 20 draws. Raises ValueError if either set has fewer than 1000 clips.
    """
    if min(len(x), len(reference)) < MIN_CLIPS:
        raise ValueError(
            f"FAD-inf needs {MIN_CLIPS} or more clips in both sets; got {len(x)} and "
            f"{len(reference)}: with fewer FAD does not fall in a line with 1/n, so its "
            "extrapolation is no less biased and noisier; use KAD, which needs none"
        )
    rng = np.random.default_rng(seed)
    x, reference = rng.permutation(x), rng.permutation(reference)
    sizes, distances = _distances(x, reference)
    slope, value = _line(sizes, distances)
    r2 = float(np.corrcoef(1 / sizes, distances)[0, 1] ** 2)
    half = _half_width(x, reference, value)
    return FadInfinity(value, value - half, value + half, slope, r2, tuple(sizes.tolist()))


def _distances(
    x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]
) -> tuple[np.ndarray, Float[np.ndarray, " sizes"]]:
    """Sizes, and FAD of the first so many clips of both sets."""
    most = min(len(x), len(y))
    sizes = np.round(1 / np.linspace(2 / most, 1 / most, SIZES)).astype(int)
    return sizes, np.array([frechet_distance(x[:size], y[:size]) for size in sizes])


def _line(sizes: np.ndarray, distances: Float[np.ndarray, " sizes"]) -> tuple[float, float]:
    """Slope and intercept over 1/n."""
    slope, intercept = np.polyfit(1 / sizes, distances, 1).tolist()
    return slope, intercept


def _half_width(
    x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"], value: float
) -> float:
    """Student's t times the jackknife's standard error, a tenth of both sets left out at a time."""
    own_x, own_y = np.arange(len(x)) % GROUPS, np.arange(len(y)) % GROUPS
    without = [
        _line(*_distances(x[own_x != group], y[own_y != group]))[1] for group in range(GROUPS)
    ]
    pseudo = GROUPS * value - (GROUPS - 1) * np.array(without)
    return float(stats.t.ppf(0.975, GROUPS - 1) * pseudo.std(ddof=1) / np.sqrt(GROUPS))
