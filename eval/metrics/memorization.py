"""Memorisation: find clips that are nearer to a training clip than any held-out real clip is.

The threshold comes from the data-copying test (Meehan et al. 2020, arXiv:2004.05675). It is applied
clip by clip, because that test's single number for a set misses copies in a tenth of few clips.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from .closeness import nearest_reference_clips

SAME = 1 - 1e-6
"""Cosine above which two unit float32 rows count as equal: the rest is rounding."""


@dataclass(frozen=True)
class MemorisedClips:
    """Nearest training clip of each clip, and the clips that are suspiciously near."""

    threshold: float
    """Highest cosine of a held-out real clip to a training clip."""
    flagged: Int[np.ndarray, " flagged"]
    """Clips above the threshold, nearest first; similar music is not proof of a copy."""
    nearest: Int[np.ndarray, " n"]
    """Row of the nearest training clip."""
    cosine: Float[np.ndarray, " n"]
    """Cosine to the nearest training clip."""
    false_positive_rate: float
    """Chance that a clip of the real source is flagged: ``1 / (h + 1)`` for h held-out clips."""


def find_memorised(
    x: Float[np.ndarray, "n dim"],
    train: Float[np.ndarray, "m dim"],
    held_out: Float[np.ndarray, "h dim"],
) -> MemorisedClips:
    """Flag clips above the highest cosine of a held-out to a training clip; unit rows.

    ``held_out`` must come from other tracks than ``train`` and have the clips' duration. Raises
    ValueError if either is empty, or if a row is in both, which would flag nothing.
    """
    if not len(train) or not len(held_out):
        raise ValueError(
            f"needs training and held-out clips; got {len(train)} training and {len(held_out)} "
            "held-out ones"
        )
    real, ours = nearest_reference_clips(held_out, train), nearest_reference_clips(x, train)
    if leaked := np.flatnonzero(real.cosine > SAME).tolist():
        raise ValueError(
            f"{len(leaked)} held-out clips are training clips too, as row {leaked[0]} is training "
            f"row {real.index[leaked[0]]}: use real clips that were not trained on"
        )
    threshold = float(real.cosine.max())
    flagged = np.flatnonzero(ours.cosine > threshold)
    flagged = flagged[np.argsort(-ours.cosine[flagged], kind="stable")]
    rate = 1 / (len(held_out) + 1)
    return MemorisedClips(threshold, flagged, ours.index, ours.cosine, rate)
