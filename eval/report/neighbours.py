"""Which clips lie suspiciously near to a training clip, and which one that is."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..metrics.closeness import nearest
from ..metrics.likeness import picture_likeness
from ..metrics.memorising import Memorised, memorised
from ..sets import ClipSet, without_leaks
from ..trust import TRUST
from .media import picture_of

COMPARED = 6
"""So many of the nearest pairs are also compared by their pictures, and all flagged ones."""


@dataclass(frozen=True)
class Copies:
    """The outcome for one set of clips."""

    found: Memorised
    train: ClipSet
    held_out: ClipSet
    leaked: list[str]
    """Held-out clips that were training clips too, and so left out."""


def find_copies(own: ClipSet, train: ClipSet, held_out: ClipSet) -> Copies:
    """Compare with training clips; InputError if held-out and training clips were mixed up."""
    kept, leaked = without_leaks(held_out, train)
    return Copies(memorised(own.rows, train.rows, kept.rows), train, kept, leaked)


def copies_json(own: ClipSet, copies: Copies) -> dict[str, Any]:
    """What report.json says of memorising; ``clips`` nearest first.

    ``likeness`` compares the pictures of the first pairs, and of the held-out pair that sets the
    threshold.
    """
    found = copies.found
    real = nearest(copies.held_out.rows, copies.train.rows)
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
        "real_likeness": _likeness(
            copies.held_out, nearest_real, copies.train, int(real.index[nearest_real])
        ),
        "flagged": len(flagged),
        "expected": found.false_positive_rate * len(own),
        "clips": [
            {
                "id": own.ids[i],
                "nearest": copies.train.ids[found.nearest[i]],
                "cosine": float(found.cosine[i]),
                "flagged": i in flagged,
                "likeness": _likeness(own, i, copies.train, int(found.nearest[i]))
                if i in compared
                else None,
            }
            for i in order
        ],
        "held_out": [float(x) for x in np.sort(real.cosine)[::-1]],
    }


def _likeness(own: ClipSet, clip: int, train: ClipSet, nearest_clip: int) -> float:
    pair = (own.clips.files[clip], train.clips.files[nearest_clip])
    return picture_likeness(*(picture_of(path) for path in pair))
