"""Vote on whether words such as "piano" fit a sound, by cosine in an embedder of sound and text.

A single cosine means little, because some words are close to all music. Each cosine is therefore
compared with those of the same word and all other sounds of the dataset.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from dmm.embedders import TextEmbedder

from .instrument_pairs import shares_in_single_and_pair_texts

BASE_QUANTILE = 0.3
"""Quantile of the cosines from which deviations are counted; up to 70 % of the sounds may fit."""
FITS, MISSES = 3.0, 0.3
"""Deviation above which a word fits, and below which it does not; between them there is no vote.

Chosen on 300 MiniMIDI pieces with nano-clap, among MiniMIDI's instruments; for all instruments of
the lexicon see ``docs/captions.md``.
"""
PAIR_FITS, PAIR_SHARE = 2.5, 0.07
"""Deviation and share among pairs (``instrument_pairs.py``) above which an instrument fits."""
TEMPLATES = ("{}", "{} music", "a recording of {}")
"""Texts whose embeddings are averaged for a term, as CLIP does for its classes."""
UNREADABLE = 0.9999
"""The embedder does not know a word whose embedding has this cosine or more to that of no words."""


def votes_by_similarity(
    embedder: TextEmbedder,
    rows: Float[np.ndarray, "n dim"],
    values: Sequence[str],
    max_votes: int | None = None,
    *,
    in_pairs: bool = False,
) -> Int[np.ndarray, "n values"]:
    """1 where a sound fits a value ("piano"), -1 where it does not, 0 where that is unclear.

    ``rows`` are embeddings of the dataset's sounds or of a representative sample, because they are
    compared with each other; fewer than three give no votes. Rows are normalised here, so the mean
    over a track's windows may be given. Of the values that fit a sound only the ``max_votes`` best
    get a vote. With ``in_pairs`` values are also compared two by two, which suits instruments.
    """
    if len(rows) < 3 or not values:
        return np.zeros((len(rows), len(values)), int)
    nothing, words = np.split(_embed_terms(embedder, ["", *values]), [1])
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    found = deviations(rows @ words.T)
    is_known = ((words @ nothing[0]) <= UNREADABLE) & ~_is_repeated(words, values)
    strength, fits = found, found > FITS
    if in_pairs and is_known.any():
        strength = np.zeros_like(found)
        known = [value for value, read in zip(values, is_known, strict=True) if read]
        strength[:, is_known] = shares_in_single_and_pair_texts(
            embedder, rows, known, BASE_QUANTILE
        )
        fits = (found > PAIR_FITS) & (strength > PAIR_SHARE)
    votes = fits.astype(int) - (found < MISSES).astype(int)
    votes[:, ~is_known] = 0
    _keep_best_of_shared_word(votes, found, values)
    _keep_strongest(votes, strength, max_votes)
    return votes


def _keep_strongest(
    votes: Int[np.ndarray, "n values"],
    strength: Float[np.ndarray, "n values"],
    max_votes: int | None,
) -> None:
    """Set votes for all but each sound's ``max_votes`` strongest values to 0; None keeps all."""
    if max_votes is not None:
        fitting = np.where(votes > 0, strength, -np.inf)
        ranks = np.argsort(np.argsort(-fitting, axis=1), axis=1)
        votes[(votes > 0) & (ranks >= max_votes)] = 0


def _is_repeated(
    words: Float[np.ndarray, "values dim"], values: Sequence[str]
) -> Bool[np.ndarray, " values"]:
    """Whether a shorter value has the same embedding: "player piano", if "player" is unknown."""
    same = words @ words.T > UNREADABLE
    lengths = np.array([len(value) for value in values])
    return np.asarray((same & (lengths[:, None] > lengths)).any(axis=1))


def _keep_best_of_shared_word(
    votes: Int[np.ndarray, "n values"],
    found: Float[np.ndarray, "n values"],
    values: Sequence[str],
) -> None:
    """Set votes to 0 but for the best of the values that share a word, such as "guitar"."""
    kin: dict[str, list[int]] = {}
    for k, value in enumerate(values):
        for word in value.split():
            kin.setdefault(word, []).append(k)
    for same in kin.values():
        own = np.where(votes[:, same] > 0, found[:, same], -np.inf)
        votes[:, same] = np.where(
            (votes[:, same] > 0) & (own < own.max(1, keepdims=True)), 0, votes[:, same]
        )


def _embed_terms(embedder: TextEmbedder, terms: Sequence[str]) -> Float[np.ndarray, "n dim"]:
    """Unit rows of terms: the mean over the templates."""
    templates = (
        TEMPLATES[:1] if embedder.name == "nano-clap" else TEMPLATES
    )  # trained on bare terms
    rows = sum(embedder.embed_text([t.format(term) for term in terms]) for t in templates)
    rows = np.asarray(rows, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def deviations(cosines: Float[np.ndarray, "n values"]) -> Float[np.ndarray, "n values"]:
    """Z-scores above a column's low quantile, by the spread below it; NaN in a constant column.

    Sounds that fit are above that quantile, so they do not change it.
    """
    above = cosines - np.quantile(cosines, BASE_QUANTILE, axis=0)
    below = above < 0
    spread = np.sqrt((np.square(above) * below).sum(0) / np.maximum(below.sum(0), 1))
    varies = spread > 1e-6  # unit rows in single precision
    return np.where(varies, above / np.where(varies, spread, 1), np.nan)
