"""Instruments compared with a sound in pairs."""

import numpy as np
import pytest

from dataset_tools.instrument_pairs import shares_in_single_and_pair_texts
from dataset_tools.similarity import votes_by_similarity
from dmm.embedders import Identity

NAMES = ("piano", "flute", "organ", "harp")


class Fake:
    """An embedder with an axis for each name; a text of two names lies between their axes."""

    name, version, protocol, dim, logit_scale = "fake", "1", "", 5, 20.0
    identity = Identity(name, None, "", protocol, "fp32", 1)

    def embed(self, audio_files):
        raise AssertionError(audio_files)

    def embed_sounds(self, sounds, sr):
        raise AssertionError(sr)

    def embed_text(self, texts):
        rows = np.array([[*(float(name in text) for name in NAMES), 0.1] for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def duets():
    """Sounds of two instruments each, and which play: every pair six times, with noise."""
    pairs = [(a, b) for a in range(4) for b in range(a)] * 6
    plays = np.zeros((len(pairs), 4), bool)
    for row, pair in zip(plays, pairs, strict=True):
        row[list(pair)] = True
    noise = np.random.default_rng(0).normal(0, 0.03, (len(pairs), 5))
    rows = np.pad(plays * 1.0, ((0, 0), (0, 1))) + noise
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), plays


def test_the_instruments_that_play_share_nearly_all(duets):
    rows, plays = duets
    shares = shares_in_single_and_pair_texts(Fake(), rows, NAMES, base_quantile=0.3)
    assert shares[plays].min() > 4 * shares[~plays].max()
    assert (shares.sum(axis=1) > 1).all() and (shares.sum(axis=1) <= 2).all()


def test_equal_texts_share_equally():
    rows = np.ones((3, 5), np.float32) / np.sqrt(5)
    shares = shares_in_single_and_pair_texts(Fake(), rows, NAMES[:2], base_quantile=0.5)
    assert shares == pytest.approx(np.full((3, 2), 2 / 3))  # each is in two texts of three


def test_pairs_vote_for_what_plays(duets):
    rows, plays = duets
    votes = votes_by_similarity(Fake(), rows, NAMES, in_pairs=True)
    assert (votes[~plays] <= 0).all() and (votes[plays] == 1).mean() > 0.9
