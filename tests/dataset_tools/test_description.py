"""Descriptions of tracks by their sound: votes, tempo's octave, and captions."""

import json

import numpy as np
import pytest

from dataset_tools.captions.compose import compose_caption
from dataset_tools.captions.lexicon import Lexicon
from dataset_tools.description import TrackSound, describe_tracks
from dataset_tools.sound_facts import SoundFacts
from dmm.embedders import Identity


class Ear:
    """An embedder with piano on the first axis, slow on the second, all else on the third."""

    name, version, protocol, dim, logit_scale = "ear", "1", "", 3, 1.0
    identity = Identity(name, None, "", protocol, "fp32", 1)

    def embed(self, audio_files):
        raise AssertionError(audio_files)

    def embed_sounds(self, sounds, sr):
        raise AssertionError(sr)

    def embed_text(self, texts):
        axes = [next((i for i, w in enumerate(("piano", "slow")) if w in t), 2) for t in texts]
        return np.eye(3, dtype=np.float32)[axes]


@pytest.fixture
def described():
    """Twenty tracks of 140 bpm by their onsets, every fourth a piano and slow by its sound."""
    rows = np.array(
        [[1, 1, 0.1] if n % 4 == 0 else [0.02 * (n % 5), 0.02 * (n % 3), 1] for n in range(20)]
    )
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    tracks = [
        TrackSound([SoundFacts(140.0, "A minor", 0.8, 100.0 * n, 2.0)], float("nan"), row)
        for n, row in enumerate(rows)
    ]
    lexicon = Lexicon({"instrument": {"piano": [], "harp": []}, "tempo": {"slow": [], "fast": []}})
    return describe_tracks(Ear(), tracks, lexicon)


def test_the_embedder_finds_instruments_and_decides_the_octave(described):
    piano, other = described[4], described[15]
    assert piano.votes["instrument"]["piano"] == 1 and piano.tempo_bpm == 70
    assert other.votes["instrument"]["piano"] == -1 and other.tempo_bpm == 140
    assert piano.origins["instrument"] == {"piano": "embedder"}
    assert piano.origins["tempo"] == {"slow": "signal", "70 bpm": "signal"}


def test_key_and_ranks_become_words(described):
    dull, bright = described[1], described[18]
    assert (dull.votes["production"]["bright"], bright.votes["production"]["bright"]) == (-1, 1)
    assert bright.votes["production"]["minor key"] == 1 and "loud" not in bright.votes["production"]
    assert json.loads(json.dumps(bright.as_json()))["key"] == "A minor"


def test_classifiers_replace_the_embedders_votes_on_their_facets():
    window = {
        "instrument": {"harp": 0.9, "piano": 0.1},
        "tempo": {"slow": 0.8, "fast": 0.2},
        "key": {"D major": 0.7, "B minor": 0.3},
    }
    facts = [SoundFacts(140.0, "A minor", 0.8, 900.0, 2.0)]
    track = TrackSound(facts, -20.0, np.array([1, 0, 0], np.float32), [window])
    lexicon = Lexicon({"instrument": {"piano": [], "harp": []}, "tempo": {"slow": [], "fast": []}})
    found, *_ = describe_tracks(Ear(), [track] * 4, lexicon)
    assert found.votes["instrument"] == {"harp": 1, "piano": -1}
    assert found.origins["instrument"] == {"harp": "classifier"}
    assert (found.tempo_bpm, found.key) == (70, "D major")


def test_a_caption_has_the_most_probable_terms_in_the_prompts_form():
    facets = {
        "instrument": {"harp": 0.6, "piano": 0.9, "flute": 0.7},
        "mood": {"sad": 0.8, "calm": 0.7},
        "tempo": {"slow": 0.9, "70 bpm": 0.95},
        "genre": {"jazz": 0.3},
    }
    assert compose_caption(facets) == "piano, flute, sad, slow"
    assert compose_caption({}) == ""
