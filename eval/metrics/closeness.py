"""Cosine of clips to a reference set: the mean, and the nearest reference clip of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..intervals import prompt_bootstrap


@dataclass(frozen=True)
class NearestClips:
    """The nearest reference row of each clip, and the cosine to it."""

    index: Int[np.ndarray, " n"]
    cosine: Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Closeness:
    """Mean cosine of clips to a test set, -1..1."""

    mean: float
    """Mean over all pairs of a clip and a reference clip."""
    sd: float | None
    """Standard deviation of the clips' mean cosines; None for one clip."""
    low: float | None
    """95 % interval of the mean over prompts; None below five prompts."""
    high: float | None


def reference_closeness(
    x: Float[np.ndarray, "n dim"],
    reference: Float[np.ndarray, "m dim"],
    prompts: Sequence[object],
    seed: int = 0,
) -> Closeness:
    """``reference_cosine`` with standard deviation and interval; the reference counts as fixed."""
    cosines = cosines_to_reference(x, reference)
    low, high = prompt_bootstrap(cosines, prompts, seed) or (None, None)
    sd = float(cosines.std(ddof=1)) if len(cosines) > 1 else None
    return Closeness(float(cosines.mean()), sd, low, high)


def cosines_to_reference(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"]
) -> Float[np.ndarray, " n"]:
    """Mean cosine of each clip to the reference clips; unit rows, -1..1."""
    return x.astype(np.float64) @ reference.mean(0, dtype=np.float64)


def reference_cosine(x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"]) -> float:
    """Mean cosine over all pairs of a clip and a reference clip.

    Higher is closer, but real clips of different tracks reach only
    ``1 - mean_cosine_distance(reference)``; a set above that is blander than the reference.

    >>> reference_cosine(np.eye(2)[:1], np.eye(2))
    0.5
    """
    return float(cosines_to_reference(x, reference).mean())


def nearest_reference_clips(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"]
) -> NearestClips:
    """The reference clip of highest cosine for each clip."""
    cosines = x.astype(np.float64) @ reference.astype(np.float64).T
    index = cosines.argmax(1)
    return NearestClips(index, cosines[np.arange(len(x)), index])
