"""Words for measured tempo, key and loudness of a collection."""

import numpy as np
import pytest

from dataset_tools.signal_votes import choose_octaves, ranks_of, signal_votes, summarise_clips
from dataset_tools.sound_facts import SoundFacts

NO_RANKS = {"loudness": np.nan, "brightness": np.nan, "density": np.nan}


def facts(tempo_bpm=100.0, key="C major", key_strength=0.8):
    return SoundFacts(tempo_bpm, key, key_strength, 1000.0, 2.0)


@pytest.mark.parametrize(("slowness", "bpm"), [(0.95, 60.0), (0.05, 120.0), (np.nan, 120.0)])
def test_a_tempo_is_halved_in_slow_music(slowness, bpm):
    assert choose_octaves([120.0], np.array([slowness]), [None]) == [bpm]


def test_without_a_beat_there_is_no_tempo():
    assert choose_octaves([None], np.array([0.5]), ["fast"]) == [None]


@pytest.mark.parametrize(("word", "bpm"), [("slow", 75.0), ("fast", 150.0), ("mid-tempo", 75.0)])
def test_a_known_tempo_word_decides_the_octave(word, bpm):
    assert choose_octaves([150.0], np.array([0.6]), [word]) == [bpm]


def test_ranks_need_five_tracks_and_different_values():
    assert ranks_of([1.0, 5.0, 3.0, np.nan, 4.0, 2.0]) == pytest.approx(
        [0.1, 0.9, 0.5, np.nan, 0.7, 0.3], nan_ok=True
    )
    assert np.isnan(ranks_of([1.0, 2.0, 3.0, 4.0])).all()
    assert np.isnan(ranks_of([-14.1, -14.0, -14.2, -14.0, -13.9], min_spread=3.0)).all()


def test_a_word_for_a_tempo_denies_the_others():
    votes = signal_votes(70.0, None, NO_RANKS)
    assert votes["tempo"] == {"slow": 1, "mid-tempo": -1, "fast": -1, "70 bpm": 1}
    assert "tempo" not in signal_votes(None, "C major", NO_RANKS)


def test_key_and_high_rank_become_words_but_a_middle_rank_does_not():
    assert signal_votes(None, None, NO_RANKS | {"loudness": 0.5}) == {}
    votes = signal_votes(None, "A minor", NO_RANKS | {"loudness": 0.9})
    assert votes["production"] == {"minor key": 1, "major key": -1, "loud": 1, "soft": -1}


def test_a_track_has_the_key_of_most_strength_and_the_middle_tempo():
    clips = [facts(90.0, "C major", 0.5), facts(None, "A minor", 0.9), facts(110.0, "C major", 0.6)]
    track = summarise_clips(clips)
    assert track is not None and (track.key, track.tempo_bpm) == ("C major", 100.0)
    assert summarise_clips([]) is None
