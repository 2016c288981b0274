"""Whether a caption's words fit the sound: votes by cosine in an embedder's space of both.

A cosine means little by itself: some words lie near all music. So each value ("piano") is judged
by how a sound's cosine lies among those of the whole dataset.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from dmm.embedders import TextEmbedder

ORDINARY = 0.3
"""The quantile that deviations are counted from; a value may be heard in all the sounds above."""
FITS, MISSES = 3.0, 0.3
"""Deviations from which on a sound fits a value, and below which it does not; between lies doubt.

Chosen on 300 MiniMIDI pieces by nano-clap; on 300 others 82 % of the votes for an instrument are
right and find 68 % of them.
"""
SAME = 0.9999
"""A value whose embedding is this near to that of no words is one that the embedder cannot read."""


def votes_from_rows(
    embedder: TextEmbedder, rows: Float[np.ndarray, "n dim"], values: Sequence[str]
) -> Int[np.ndarray, "n values"]:
    """1 where a sound fits a value, -1 where it does not, 0 where nothing can be said.

    ``rows`` are embeddings of the dataset's sounds, or of a fair sample: they are judged against
    each other, and fewer than three give no vote. A row may be the mean over a track's windows:
    it is brought to unit length here.
    """
    if len(rows) < 3 or not values:
        return np.zeros((len(rows), len(values)), int)
    nothing, words = np.split(embedder.embed_text(["", *values]), [1])
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    votes = _sides(deviations(rows / np.maximum(lengths, 1e-12) @ words.T))
    votes[:, (words @ nothing[0]) > SAME] = 0
    return votes


def deviations(cosines: Float[np.ndarray, "n values"]) -> Float[np.ndarray, "n values"]:
    """Z-scores by a low quantile and the spread below it, neither of which sounds that fit move.

    Not a number in a column that does not vary.
    """
    above = cosines - np.quantile(cosines, ORDINARY, axis=0)
    below = above < 0
    spread = np.sqrt((np.square(above) * below).sum(0) / np.maximum(below.sum(0), 1))
    varies = spread > 1e-6  # unit rows in single precision
    return np.where(varies, above / np.where(varies, spread, 1), np.nan)


def _sides(deviation: Float[np.ndarray, "n values"]) -> Int[np.ndarray, "n values"]:
    return (deviation > FITS).astype(int) - (deviation < MISSES).astype(int)
