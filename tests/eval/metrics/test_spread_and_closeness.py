import numpy as np
import pytest

from eval.metrics.closeness import (
    cosines_to_reference,
    nearest_reference_clips,
    reference_closeness,
    reference_cosine,
)
from eval.metrics.diversity import (
    distance_within_each_prompt,
    mean_cosine_distance,
    participation_ratio,
    spread_by_prompt,
)


def random_unit_rows(rng, n, dim):
    x = rng.normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_equal_rows_have_no_diversity():
    assert mean_cosine_distance(np.tile([[0.6, 0.8]], (5, 1))) == pytest.approx(0)


def test_orthogonal_rows_have_diversity_one():
    assert mean_cosine_distance(np.eye(6)) == pytest.approx(1)


def test_diversity_is_the_trace_of_the_covariance_for_unit_rows(rng):
    x = random_unit_rows(rng, 20, 512).astype(np.float32)
    trace = np.trace(np.cov(x, rowvar=False))
    # The first model's .13633714922 and .13633710146 differ by as little: it is float32's rounding.
    assert mean_cosine_distance(x) == pytest.approx(trace, abs=2e-7)
    assert 1 - np.square(x.mean(0)).sum() == pytest.approx(np.mean(1 - x @ x.T), abs=2e-7)


def test_diversity_is_unbiased_in_the_number_of_clips(rng):
    few = [mean_cosine_distance(random_unit_rows(rng, 3, 4) * [1, 1, 0, 0]) for _ in range(2000)]
    many = mean_cosine_distance(random_unit_rows(rng, 4000, 4) * [1, 1, 0, 0])
    assert np.mean(few) == pytest.approx(many, abs=0.02)


def test_variety_within_a_prompt_ignores_what_differs_between_prompts():
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    collapsed, deaf = spread_by_prompt(rows, "aabb"), spread_by_prompt(rows, "abab")
    assert (collapsed.within, collapsed.added, collapsed.n_repeated_prompts) == (0, 1, 2)
    assert (deaf.within, deaf.added) == (1, -0.5)
    assert distance_within_each_prompt(rows, ["a", "a", "b", "c"]) == {"a": 0}


def test_variety_adds_up_and_does_not_depend_on_the_clips_a_prompt(rng):
    centres = random_unit_rows(rng, 6, 3)

    def drawn(seeds):
        rows = centres.repeat(seeds, 0) + 0.5 * rng.normal(size=(6 * seeds, 3))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return spread_by_prompt(rows, np.arange(6).repeat(seeds).tolist())

    few, many = [drawn(2) for _ in range(400)], drawn(400)
    for part in ("across", "within", "added"):
        mean = np.mean([getattr(one, part) for one in few])
        assert mean == pytest.approx(getattr(many, part), abs=0.02)
    assert many.across == pytest.approx(many.within + many.added)


def test_one_seed_a_prompt_and_one_prompt_are_refused(rng):
    x = random_unit_rows(rng, 4, 3)
    with pytest.raises(ValueError, match="2 or more seeds"):
        spread_by_prompt(x, "abcd")
    with pytest.raises(ValueError, match="2 or more prompts"):
        spread_by_prompt(x, "aaaa")


def test_participation_ratio_counts_directions_without_bias_from_few_clips(rng):
    spread_by_prompt = np.diag([2.0, 1.0, 1.0, 0.0])
    parts = [participation_ratio(rng.normal(size=(40, 4)) @ spread_by_prompt) for _ in range(60)]
    assert np.mean(parts) == pytest.approx((4 + 1 + 1) ** 2 / (16 + 1 + 1), rel=0.1)


def test_participation_ratio_ignores_the_size_of_the_spread(rng):
    x = rng.normal(size=(12, 4))
    assert participation_ratio(0.1 * x + 5) == pytest.approx(participation_ratio(x))


def test_participation_ratio_of_tiny_rows_is_that_of_large_ones(rng):
    x = rng.normal(size=(30, 3))
    assert participation_ratio(1e-4 * x) == pytest.approx(participation_ratio(x))


def test_collapsed_clips_and_too_few_have_no_participation_ratio(rng):
    with pytest.raises(ValueError, match="hardly vary"):
        participation_ratio(np.ones((6, 3)))
    with pytest.raises(ValueError, match="got 3"):
        participation_ratio(rng.normal(size=(3, 3)))


def test_a_lone_clip_has_no_diversity():
    with pytest.raises(ValueError, match="got 1"):
        mean_cosine_distance(np.eye(1))


def test_mean_cosine_is_the_mean_over_all_pairs(rng):
    x, y = random_unit_rows(rng, 4, 3), random_unit_rows(rng, 6, 3)
    assert cosines_to_reference(x, y) == pytest.approx((x @ y.T).mean(1))
    assert reference_cosine(x, y) == pytest.approx(np.mean(x @ y.T))


def test_nearest_finds_a_copy(rng):
    reference = random_unit_rows(rng, 9, 4)
    found = nearest_reference_clips(reference[[7, 2]], reference)
    assert found.index.tolist() == [7, 2]
    assert found.cosine == pytest.approx([1, 1])


def test_closeness_is_the_mean_and_spread_over_clips_with_an_interval_over_prompts(rng):
    x, reference = random_unit_rows(rng, 12, 3), random_unit_rows(rng, 6, 3)
    own = (x @ reference.T).mean(1)
    found = reference_closeness(x, reference, list("aabbccddeeff"))
    assert (found.mean, found.sd) == pytest.approx((own.mean(), own.std(ddof=1)))
    assert found.low < found.mean < found.high
    assert reference_closeness(x, reference, ["a"] * 12).low is None
    assert reference_closeness(x[:1], reference, ["a"]).sd is None
