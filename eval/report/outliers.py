"""Clips to listen to first: least like real ones, least like their prompt, most like each other."""

from typing import Any

import numpy as np

from ..metrics.closeness import cosines_to_reference
from ..sample import Sample
from ..sets import ClipSet
from .clip_rows import own_prompt_cosines

SHOWN = 3
"""Number of clips of each kind."""


def outliers_json(clips: ClipSet, sample: Sample, reference: ClipSet) -> dict[str, Any]:
    """Clips least like the real ones, least like their prompt, and most like another clip.

    ``real_least`` is the lowest mean cosine of a real clip to the other real ones. Clips below it
    are marked ``beyond``.
    """
    cosines = cosines_to_reference(clips.rows, reference.rows)
    real = _mean_cosines_to_others(reference.rows)
    least = float(real.min())
    return {
        "real_least": least,
        "far": [
            {"ids": [clips.ids[i]], "cosine": float(cosines[i]), "beyond": bool(cosines[i] < least)}
            for i in np.argsort(cosines, kind="stable")[:SHOWN]
        ],
        "off_prompt": _least_like_prompt(clips, sample),
        "twins": _most_alike_pairs(clips),
    }


def _mean_cosines_to_others(rows: np.ndarray) -> np.ndarray:
    n = len(rows)
    return (cosines_to_reference(rows, rows) * n - 1) / (n - 1)


def _least_like_prompt(clips: ClipSet, sample: Sample) -> list[dict[str, Any]]:
    known = [(x, i) for i, x in enumerate(own_prompt_cosines(sample)) if x is not None]
    return [{"ids": [clips.ids[i]], "similarity": x} for x, i in sorted(known)[:SHOWN]]


def _most_alike_pairs(clips: ClipSet) -> list[dict[str, Any]]:
    """Pairs of clips with the highest cosine; each clip is in at most one pair."""
    rows = clips.rows.astype(np.float64)
    cosines = np.triu(rows @ rows.T, 1) - 2 * np.tri(len(rows))
    found: list[dict[str, Any]] = []
    while len(found) < SHOWN and cosines.max() > -1:
        i, j = np.unravel_index(cosines.argmax(), cosines.shape)
        found.append({"ids": [clips.ids[i], clips.ids[j]], "cosine": float(cosines[i, j])})
        cosines[[i, j]] = cosines[:, [i, j]] = -2
    return found
