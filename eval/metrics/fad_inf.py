"""FAD-inf: FAD extrapolated to infinitely many clips (Gui et al. 2023, arXiv:2311.01616).

FAD of n clips is biased upward by about slope / n. It is linear in 1/n, and the value at 1/n = 0
has no such bias (Chong and Forsyth 2019, https://arxiv.org/abs/1911.07023). Both sets are reduced,
without repeats, because few reference clips raise FAD in the same way. With a true distance of 0
and 1000 clips, reducing one set alone left .016, reducing both left .002.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from .fad import frechet_distance

MIN_CLIPS = 1000
"""Fewest clips: with fewer, FAD is not linear in 1/n (.13 at 100, .05 at 300 for a true 0)."""
SIZES = 8
GROUPS = 10


@dataclass(frozen=True)
class FadInfinity:
    """Intercept of a line fitted to FAD over 1/n."""

    value: float
    """Lower is closer; may be below 0 by chance."""
    low: float
    """95 % interval by the jackknife over tenths of both sets."""
    high: float
    slope: float
    """FAD of n clips and n reference clips is about ``value + slope / n``."""
    r2: float
    """Share of the variance over sizes that the line explains; unreliable well below 1."""
    sizes: tuple[int, ...]
    """Numbers of clips of each set, evenly spaced in 1/n."""


def fad_infinity(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"], seed: int = 0
) -> FadInfinity:
    """Extrapolate from sizes between the smaller set's number and half of it.

    Takes some seconds for 1000 clips. Simulated with 1000 clips of both sets in 512 dimensions:
    bias .002, coverage of the interval 85 to 90 % (20 simulations). Raises ValueError if either
    set has fewer than 1000 clips.
    """
    if min(len(x), len(reference)) < MIN_CLIPS:
        raise ValueError(
            f"FAD-inf needs {MIN_CLIPS} or more clips in both sets; got {len(x)} and "
            f"{len(reference)}: with fewer, FAD is not linear in 1/n, so that its extrapolation is "
            "as biased as FAD and noisier; use KAD, which is unbiased"
        )
    rng = np.random.default_rng(seed)
    x, reference = rng.permutation(x), rng.permutation(reference)
    sizes, distances = _fad_by_size(x, reference)
    slope, value = _fit_line(sizes, distances)
    r2 = float(np.corrcoef(1 / sizes, distances)[0, 1] ** 2)
    half = _jackknife_half_width(x, reference, value)
    return FadInfinity(value, value - half, value + half, slope, r2, tuple(sizes.tolist()))


def _fad_by_size(
    x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]
) -> tuple[np.ndarray, Float[np.ndarray, " sizes"]]:
    """Sizes, and FAD of the first clips of both sets for each size."""
    most = min(len(x), len(y))
    sizes = np.round(1 / np.linspace(2 / most, 1 / most, SIZES)).astype(int)
    return sizes, np.array([frechet_distance(x[:size], y[:size]) for size in sizes])


def _fit_line(sizes: np.ndarray, distances: Float[np.ndarray, " sizes"]) -> tuple[float, float]:
    """Slope and intercept of a line over 1/n."""
    slope, intercept = np.polyfit(1 / sizes, distances, 1).tolist()
    return slope, intercept


def _jackknife_half_width(
    x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"], value: float
) -> float:
    """Half width of a jackknife-t interval that leaves out a tenth of both sets at a time."""
    own_x, own_y = np.arange(len(x)) % GROUPS, np.arange(len(y)) % GROUPS
    without = [
        _fit_line(*_fad_by_size(x[own_x != group], y[own_y != group]))[1] for group in range(GROUPS)
    ]
    pseudo = GROUPS * value - (GROUPS - 1) * np.array(without)
    return float(stats.t.ppf(0.975, GROUPS - 1) * pseudo.std(ddof=1) / np.sqrt(GROUPS))
