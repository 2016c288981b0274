import json

import numpy as np
import pytest

from dmm.generation.callbacks import Callbacks
from dmm.generation.clips import make_missing_clips
from dmm.generation.ranking import Ranking, select
from dmm.generation.requests import clip_requests


def at(*degrees):
    """Unit rows in the plane at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def test_without_a_floor_the_best_scores_are_kept():
    scores = np.array([0.1, 0.4, 0.2, 0.3])
    assert select(scores, at(0, 0, 0, 0), keep=3, floor=0.0).kept == (1, 3, 2)


def test_a_near_copy_of_the_best_is_passed_over_for_a_different_one():
    chosen = select(np.array([0.9, 0.89, 0.1]), at(0, 1, 90), keep=2, floor=0.5)
    assert chosen.kept == (0, 2) and not chosen.filled
    assert chosen.least_distance == pytest.approx(
        (1 - np.cos(np.radians([1, 90, 89]))).mean() / 2, abs=1e-4
    )


def test_where_none_is_far_enough_the_farthest_fills_the_place():
    chosen = select(np.array([0.9, 0.8, 0.1]), at(0, 3, 10), keep=2, floor=5.0)
    assert chosen.kept == (0, 2) and chosen.filled == (2,)


def test_the_order_of_candidates_does_not_matter(rng):
    scores, rows = rng.normal(size=9), rng.normal(size=(9, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    order = rng.permutation(9)
    kept = select(scores, rows, 4, 0.8).kept
    assert [order[i] for i in select(scores[order], rows[order], 4, 0.8).kept] == list(kept)


class Loudness:
    """Embeds only loudness, and every text as loud."""

    name, version, dim, protocol, logit_scale = "loudness", "1", 2, "", 1.0
    identity = None

    def embed(self, audio_files):
        raise NotImplementedError

    def embed_sounds(self, sounds, sr):
        angle = np.arctan(1000 * np.abs(sounds).mean(1))
        return np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)

    def embed_text(self, texts):
        return np.array([[0.0, 1.0]] * len(texts), np.float32)


@pytest.fixture
def loudness(monkeypatch):
    monkeypatch.setattr("dmm.generation.ranking.load_text_embedder", lambda *_: Loudness())
    return Ranking("loudness", keep=2, floor=0.0)


def test_of_each_prompt_the_best_clips_are_kept_and_the_others_only_listed(maker, loudness):
    wanted = clip_requests(["piano", "organ"], 3, 0)
    sounds = make_missing_clips(wanted, maker(ranking=loudness))
    out = maker().out
    assert len(sounds) == 4 and len(list(out.iterdir())) == 12
    for prompt in ("piano", "organ"):
        facts = [
            json.loads(p.read_text())["result"]["ranking"] for p in out.glob(f"{prompt}*.json")
        ]
        drawn = facts[0]["drawn"]
        dropped = [row["score"] for row in drawn if not row["kept"]]
        assert sorted(fact["place"] for fact in facts) == [1, 2] and len(drawn) == 3
        assert min(fact["score"] for fact in facts) >= max(dropped)


def test_a_prompt_without_a_known_word_is_noted_before_it_is_ranked(maker, loudness):
    notes = []
    make_missing_clips(
        clip_requests(["piano"], 2, 0), maker(ranking=loudness), Callbacks(on_note=notes.append)
    )
    assert ['knows no word of "piano": its choice (--rank) means nothing' in n for n in notes] == [
        True
    ]


def test_a_ranked_prompt_is_made_again_only_if_a_kept_clip_is_missing(maker, loudness):
    wanted, ranked = clip_requests(["piano"], 3, 0), maker(ranking=loudness)
    sounds = make_missing_clips(wanted, ranked)
    before = [path.stat().st_mtime_ns for path in sounds]
    assert make_missing_clips(wanted, ranked) == sounds
    assert before == [path.stat().st_mtime_ns for path in sounds]
    sounds[1].with_suffix(".json").unlink()
    assert make_missing_clips(wanted, ranked) == sounds
    assert before[0] != sounds[0].stat().st_mtime_ns
