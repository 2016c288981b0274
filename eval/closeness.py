"""How near each clip lies to a reference set: mean cosine, and the nearest reference clips."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Nearest:
    """For each clip its nearest reference row and the cosine to it."""

    index: Int[np.ndarray, " n"]
    cosine: Float[np.ndarray, " n"]


def cosines_to_reference(
    x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"]
) -> Float[np.ndarray, " n"]:
    """Each clip's cosine to a reference clip, averaged over the reference; unit rows, -1..1."""
    return x.astype(np.float64) @ reference.mean(0, dtype=np.float64)


def reference_cosine(x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"]) -> float:
    """Mean cosine over all pairs of a clip and a reference clip.

    Higher is closer, but not without end: real clips of different tracks reach only what
    ``1 - embedding_diversity(reference)`` says; a set above that is blander than the reference.

    >>> reference_cosine(np.eye(2)[:1], np.eye(2))
    0.5
    """
    return float(cosines_to_reference(x, reference).mean())


def nearest(x: Float[np.ndarray, "n dim"], reference: Float[np.ndarray, "m dim"]) -> Nearest:
    """The reference clip of highest cosine for each clip: listen to it before crying copy."""
    cosines = x.astype(np.float64) @ reference.astype(np.float64).T
    index = cosines.argmax(1)
    return Nearest(index, cosines[np.arange(len(x)), index])
