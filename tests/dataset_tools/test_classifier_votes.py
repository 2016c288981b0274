"""Votes of an embedder's classifiers on terms of the lexicon."""

import numpy as np
import pytest

from dataset_tools.captions.lexicon import load_lexicon
from dataset_tools.classifier_votes import classifier_votes, mean_attributes, most_probable
from dmm.embedders import SoundClassifier, embed_and_classify
from dmm.registry import load_text_embedder

SR = 22_050


def test_labels_become_terms_and_labels_without_one_are_left_out():
    labels = {"nylon guitar": 0.9, "upright bass": 0.2, "pulse lead": 0.9, "lo-fi drums": 0.8}
    votes = classifier_votes({"instrument": labels, "key": {"C major": 1.0}}, load_lexicon())
    assert votes == {"instrument": {"classical guitar": 1, "double bass": -1, "drums": 1}}


def test_of_labels_with_one_term_the_most_probable_counts():
    labels = {"acoustic drums": 0.1, "chip drums": 0.7}
    assert classifier_votes({"instrument": labels}, load_lexicon()) == {"instrument": {"drums": 1}}


def test_windows_are_averaged():
    windows = [{"tempo": {"slow": 0.9, "fast": 0.1}}, {"tempo": {"slow": 0.3, "fast": 0.7}}]
    mean = mean_attributes(windows)
    assert most_probable(mean, "tempo") == "slow" and most_probable(mean, "key") is None
    assert mean_attributes([]) == {}


def test_nano_clap_classifies_what_it_embeds():
    embedder, sounds = (
        load_text_embedder("nano-clap"),
        np.random.default_rng(0).normal(size=(2, SR)),
    )
    assert isinstance(embedder, SoundClassifier)
    rows, attributes = embed_and_classify(embedder, sounds, SR)
    assert np.array_equal(rows, embedder.embed_sounds(sounds, SR))
    assert [sum(clip["key"].values()) for clip in attributes] == pytest.approx([1, 1])
