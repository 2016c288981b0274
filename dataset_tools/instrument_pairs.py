"""Score instruments by texts that name one or two of them, such as "piano and flute".

A clip of two instruments is closer to a text that names both than to either word alone, so that
words that are close to all music gain less. On 300 MiniMIDI pieces with nano-clap this raised the
precision of instruments from .71 to .84 at a recall of .57.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float

from dmm.embedders import TextEmbedder

BLOCK = 256
"""Number of sounds compared with all texts at once, to bound the memory."""


def shares_in_single_and_pair_texts(
    embedder: TextEmbedder,
    rows: Float[np.ndarray, "n dim"],
    values: Sequence[str],
    base_quantile: float,
) -> Float[np.ndarray, "n values"]:
    """Share (0..1) of the texts naming each value, in a softmax over single values and pairs.

    ``rows`` are unit embeddings of sounds. Each text's cosines are taken relative to their
    ``base_quantile`` over all sounds. Shares of a sound sum to between 1 and 2.
    """
    numbers = range(len(values))
    texts: list[tuple[int, ...]] = [*((k,) for k in numbers), *combinations(numbers, 2)]
    words = embedder.embed_text([" and ".join(values[k] for k in text) for text in texts])
    names = np.zeros((len(texts), len(values)), np.float32)
    for row, text in zip(names, texts, strict=True):
        row[list(text)] = 1
    cosines = (rows @ words.T).astype(np.float32)
    base = np.quantile(cosines, base_quantile, axis=0)
    return np.concatenate(
        [
            _softmax(embedder.logit_scale * (cosines[start : start + BLOCK] - base)) @ names
            for start in range(0, len(rows), BLOCK)
        ]
    )


def _softmax(logits: Float[np.ndarray, "n texts"]) -> Float[np.ndarray, "n texts"]:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
