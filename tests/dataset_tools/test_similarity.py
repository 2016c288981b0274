import numpy as np
import pytest

from dataset_tools.similarity import deviations, votes_by_similarity
from dataset_tools.vocals import zero_shot
from dataset_tools.vocals.zero_shot import INSTRUMENTAL, VOCAL, ZeroShotClassifier
from dmm.embedders import TextEmbedder
from dmm.errors import InputError
from dmm.registry import load_embedder, load_text_embedder

WORDS = ("flute", "organ", "harp")


class Fake:
    """A space with one axis for each known word; a sound's samples are its coordinates."""

    name, version, dim, protocol, logit_scale = "fake", "1", 4, "as it is", 20.0
    identity = None

    def __init__(self, places=None):
        self.places = places or {word: np.eye(4)[i] for i, word in enumerate(WORDS)}

    def embed(self, audio_files):
        raise NotImplementedError

    def embed_sounds(self, sounds, sr):
        return sounds / np.linalg.norm(sounds, axis=1, keepdims=True)

    def embed_text(self, texts):
        words = [t.removeprefix("a recording of ").removesuffix(" music") for t in texts]
        return np.stack([self.places.get(word, np.eye(4)[3]) for word in words])


@pytest.fixture
def sounds(rng):
    """Twelve sounds: 0 and 1 are near "flute", 2 is near "organ", none near "harp"."""
    sounds = np.abs(rng.normal(0, 0.02, (12, 4)))
    sounds[:, 3] += 1
    sounds[:2, 0] += 1
    sounds[2, 1] += 1
    return sounds


def votes_of(sounds, words):
    return votes_by_similarity(Fake(), Fake().embed_sounds(sounds, 22050), words)


def test_a_sound_nearer_to_a_word_than_the_others_fits_it(sounds):
    votes = votes_of(sounds, ("flute", "organ"))
    assert (votes[:2, 0] == 1).all() and votes[2, 1] == 1
    assert (votes[3:, 0] <= 0).mean() > 0.7 and -1 in votes[3:, 0] and 0 in votes[3:, 0]


def test_a_word_equally_near_to_all_sounds_gets_no_vote(sounds):
    sounds[:] = sounds[0]
    assert not votes_of(sounds, ("flute",)).any()


def test_a_word_that_the_embedder_cannot_read_gets_no_vote(sounds):
    assert not votes_of(sounds, ("theremin",)).any()


def test_two_sounds_or_no_values_give_no_vote(sounds):
    assert votes_of(sounds[:2], WORDS).tolist() == [[0, 0, 0]] * 2
    assert votes_of(sounds, ()).shape == (12, 0)


def test_deviations_ignore_offset_and_scale_and_outliers_do_not_widen_them(rng):
    cosines = rng.normal(size=(101, 2))
    measured = deviations(cosines)
    assert deviations(3 * cosines + 5) == pytest.approx(measured)
    cosines[cosines.argmax(0), [0, 1]] += 100
    rest = measured < measured.max(0)
    assert deviations(cosines)[rest] == pytest.approx(measured[rest])


def test_zero_shot_is_a_softmax_over_both_descriptions():
    places = {text: np.eye(4)[0] for text in VOCAL} | {text: np.eye(4)[1] for text in INSTRUMENTAL}
    classifier = ZeroShotClassifier(Fake(places))
    found = classifier.probabilities(np.eye(4)[:3], 22050)
    expected = [1 / (1 + np.exp(-20)), 1 / (1 + np.exp(20)), 0.5]
    assert found == pytest.approx(expected)
    assert classifier.probabilities(np.zeros((0, 4)), 22050).shape == (0,)


def test_other_prompts_are_another_version(monkeypatch):
    before = ZeroShotClassifier(Fake()).version
    monkeypatch.setattr(zero_shot, "VOCAL", (*VOCAL, "someone hums"))
    assert ZeroShotClassifier(Fake()).version != before


def test_an_embedder_without_text_is_refused():
    assert isinstance(load_text_embedder("nano-clap"), TextEmbedder)
    assert not isinstance(load_embedder("mel-stats"), TextEmbedder)
    with pytest.raises(InputError, match="'mel-stats' knows no text"):
        load_text_embedder("mel-stats")
