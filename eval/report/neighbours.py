"""Possible copies: clips that are suspiciously near to a training clip."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..metrics.closeness import nearest_reference_clips
from ..metrics.image_correlation import image_correlation
from ..metrics.memorization import MemorisedClips, find_memorised
from ..sets import ClipSet, split_off_leaks
from ..trust import TRUST
from .media import mel_image

COMPARED = 6
"""Smallest number of nearest pairs whose mel images are compared; all flagged pairs are."""


@dataclass(frozen=True)
class CopySearch:
    """Memorisation of one set of clips, with the sets it was compared with."""

    found: MemorisedClips
    train: ClipSet
    held_out: ClipSet
    leaked: list[str]
    """Ids of held-out clips that are training clips too, and are therefore skipped."""


def find_copies(clips: ClipSet, train: ClipSet, held_out: ClipSet) -> CopySearch:
    """Find possible copies; InputError if half of the held-out clips or more are training clips."""
    kept, leaked = split_off_leaks(held_out, train)
    return CopySearch(find_memorised(clips.rows, train.rows, kept.rows), train, kept, leaked)


def copies_json(clips: ClipSet, copies: CopySearch) -> dict[str, Any]:
    """The entry of report.json on memorisation; ``clips`` are sorted, nearest first.

    ``likeness`` is the correlation of mel images, for the nearest pairs. ``real_likeness`` is that
    of the held-out pair that sets the threshold.
    """
    found = copies.found
    real = nearest_reference_clips(copies.held_out.rows, copies.train.rows)
    nearest_real = int(real.cosine.argmax())
    flagged = set(found.flagged.tolist())
    order = np.argsort(-found.cosine, kind="stable").tolist()
    compared = set(order[: max(COMPARED, len(flagged))])
    return {
        "n_train": len(copies.train),
        "n_held_out": len(copies.held_out),
        "caution": TRUST["memorised"].caution(len(copies.held_out)),
        "leaked": copies.leaked,
        "threshold": found.threshold,
        "real_likeness": _image_correlation_of_pair(
            copies.held_out, nearest_real, copies.train, int(real.index[nearest_real])
        ),
        "flagged": len(flagged),
        "expected": found.false_positive_rate * len(clips),
        "clips": [
            {
                "id": clips.ids[i],
                "nearest": copies.train.ids[found.nearest[i]],
                "cosine": float(found.cosine[i]),
                "flagged": i in flagged,
                "likeness": _image_correlation_of_pair(
                    clips, i, copies.train, int(found.nearest[i])
                )
                if i in compared
                else None,
            }
            for i in order
        ],
        "held_out": [float(x) for x in np.sort(real.cosine)[::-1]],
    }


def _image_correlation_of_pair(
    clips: ClipSet, clip: int, train: ClipSet, nearest_clip: int
) -> float:
    pair = (clips.clips.files[clip], train.clips.files[nearest_clip])
    return image_correlation(*(mel_image(path) for path in pair))
