"""Memorising: clips nearer to a training clip than any real clip that was held out.

The threshold idea is the data-copying test's (Meehan et al. 2020, https://arxiv.org/abs/2004.05675)
clip by clip: its one number for a whole set misses a tenth of copies among few clips.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from .closeness import nearest

SAME = 1 - 1e-6
"""Unit float32 rows of a higher cosine are one sound: the rest is rounding."""


@dataclass(frozen=True)
class Memorised:
    """Each clip's nearest training clip, and which of these are suspiciously near."""

    threshold: float
    """Highest cosine of a held-out real clip to a training clip."""
    flagged: Int[np.ndarray, " flagged"]
    """Clips above it, nearest first. Listen to both before crying copy: music may be near."""
    nearest: Int[np.ndarray, " n"]
    """The nearest training clip of each clip."""
    cosine: Float[np.ndarray, " n"]
    """And the cosine to it."""
    false_positive_rate: float
    """How often an honest clip would be flagged: as it would be the greatest of h + 1 real ones."""


def memorised(
    x: Float[np.ndarray, "n dim"],
    train: Float[np.ndarray, "m dim"],
    held_out: Float[np.ndarray, "h dim"],
) -> Memorised:
    """Flag clips by what real clips reach that were not trained on; unit rows, same embedder.

    ``held_out`` must come from other tracks than ``train``, in the clips' own duration. Raises
    ValueError if either is empty, or if a row is in both: then the threshold would flag nothing.
    """
    if not len(train) or not len(held_out):
        raise ValueError(
            f"needs training and held-out clips; got {len(train)} training and {len(held_out)} "
            "held-out ones"
        )
    real, ours = nearest(held_out, train), nearest(x, train)
    if leaked := np.flatnonzero(real.cosine > SAME).tolist():
        raise ValueError(
            f"{len(leaked)} held-out clips are training clips too, as row {leaked[0]} is training "
            f"row {real.index[leaked[0]]}: take real clips that were not trained on"
        )
    threshold = float(real.cosine.max())
    flagged = np.flatnonzero(ours.cosine > threshold)
    flagged = flagged[np.argsort(-ours.cosine[flagged], kind="stable")]
    rate = 1 / (len(held_out) + 1)
    return Memorised(threshold, flagged, ours.index, ours.cosine, rate)
