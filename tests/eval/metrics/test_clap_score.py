import itertools

import numpy as np
import pytest

from eval.intervals import prompt_bootstrap
from eval.metrics.clap_score import clap_score


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def drawn(rng, prompts, seeds, follow=0.0, dim=16):
    """Sound and text rows; ``follow`` is how far sound leans toward its text."""
    text = unit(rng.normal(size=(prompts, dim))).repeat(seeds, 0)
    return unit(follow * text + unit(rng.normal(size=text.shape))), text


def named(prompts, seeds):
    return [f"prompt {i}" for i in range(prompts) for _ in range(seeds)]


def test_every_part_agrees_with_plain_loops(rng):
    audio, text = drawn(rng, 4, 3, follow=0.5)
    prompts = named(4, 3)
    found = clap_score(audio, text, prompts)
    own = [a @ t for a, t in zip(audio, text, strict=True)]
    pairs = itertools.product(zip(audio, prompts, strict=True), zip(text, prompts, strict=True))
    other = [a @ t for (a, p), (t, q) in pairs if p != q]
    best = [prompts[int(np.argmax(text @ a))] for a in audio]
    assert found.mean == pytest.approx(np.mean(own))
    assert found.sd == pytest.approx(np.std(own, ddof=1))
    assert found.shuffled_mean == pytest.approx(np.mean(other))
    assert found.gap == pytest.approx(np.mean(own) - np.mean(other))
    assert found.recall_at_1 == np.mean([p == q for p, q in zip(best, prompts, strict=True)])
    assert (found.n, found.n_prompts) == (12, 4)


def test_one_prompt_has_a_mean_and_a_spread_and_nothing_else(rng):
    audio, text = drawn(rng, 1, 20)
    found = clap_score(audio, text, ["piano"] * 20)
    assert found.mean == pytest.approx(np.mean(audio @ text[0]))
    assert found.sd is not None
    absent = (found.shuffled_mean, found.gap, found.recall_at_1, found.p, found.low, found.high)
    assert absent == (None,) * 6


def test_clips_that_follow_prompts_are_distinguished_from_clips_that_do_not(rng):
    obeying = clap_score(*drawn(rng, 8, 2, follow=1), named(8, 2))
    ignoring = clap_score(*drawn(rng, 8, 2), named(8, 2))
    assert obeying.p < 0.001 < 0.01 < ignoring.p
    assert obeying.low > 0.5 and obeying.recall_at_1 > 0.9 > 0.5 > ignoring.recall_at_1


def test_a_high_cosine_alone_is_no_adherence(rng):
    audio, text = drawn(rng, 8, 2)
    common = np.full(16, 2.0)  # all prompts and all clips lie in one direction
    found = clap_score(unit(audio + common), unit(text + common), named(8, 2))
    assert found.mean > 0.9
    assert abs(found.gap) < 0.01


def test_p_is_uniform_for_clips_that_ignore_their_prompts(rng):
    ps = [clap_score(*drawn(rng, 6, 3), named(6, 3)).p for _ in range(100)]
    assert np.mean(ps) == pytest.approx(0.5, abs=0.1)
    assert np.mean(np.array(ps) < 0.05) < 0.12


def test_equal_clips_have_chance_recall_and_no_evidence():
    audio, text = np.tile(np.eye(4)[:1], (4, 1)), np.tile(np.eye(4)[1:2], (4, 1))
    found = clap_score(audio, text, "abcd")
    assert (found.recall_at_1, found.p, found.gap) == (0.25, 1, 0)


def test_prompt_intervals_hold_the_truth_and_clip_intervals_do_not(rng):
    prompts, held = np.arange(12).repeat(5), {"prompts": 0, "clips": 0}
    for _ in range(150):
        values = 0.05 * rng.normal(size=12).repeat(5) + 0.03 * rng.normal(size=60)
        for groups, over in ((prompts, "prompts"), (range(60), "clips")):
            low, high = prompt_bootstrap(values, list(groups))
            held[over] += low <= 0 <= high
    assert held["prompts"] / 150 > 0.9
    assert held["clips"] / 150 < 0.75


def test_the_bootstrap_of_a_mean_weighs_prompts_by_their_clips():
    values = np.array([0.0, 0, 0, 0, 1, 1])
    low, high = prompt_bootstrap(values, list("abcdee"))
    assert low == 0 and values.mean() < high <= 1
    assert prompt_bootstrap(values, list("abcddd")) is None  # four prompts


def test_rows_that_do_not_belong_to_their_prompts_are_refused(rng):
    audio, text = drawn(rng, 2, 2)
    with pytest.raises(ValueError, match="different rows of text"):
        clap_score(audio, text, ["a", "b", "a", "b"])
