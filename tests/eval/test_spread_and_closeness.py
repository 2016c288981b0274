import numpy as np
import pytest

from eval.closeness import cosines_to_reference, nearest, reference_cosine
from eval.diversity import embedding_diversity, participation_ratio


def random_unit_rows(rng, n, dim):
    x = rng.normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_equal_rows_have_no_diversity():
    assert embedding_diversity(np.tile([[0.6, 0.8]], (5, 1))) == pytest.approx(0)


def test_orthogonal_rows_have_diversity_one():
    assert embedding_diversity(np.eye(6)) == pytest.approx(1)


def test_diversity_is_the_trace_of_the_covariance_for_unit_rows(rng):
    x = random_unit_rows(rng, 20, 5)
    assert embedding_diversity(x) == pytest.approx(np.trace(np.cov(x, rowvar=False)))


def test_participation_ratio_counts_directions_without_bias_from_few_clips(rng):
    spread = np.diag([2.0, 1.0, 1.0, 0.0])
    parts = [participation_ratio(rng.normal(size=(40, 4)) @ spread) for _ in range(60)]
    assert np.mean(parts) == pytest.approx((4 + 1 + 1) ** 2 / (16 + 1 + 1), rel=0.1)


def test_participation_ratio_ignores_the_size_of_the_spread(rng):
    x = rng.normal(size=(12, 4))
    assert participation_ratio(0.1 * x + 5) == pytest.approx(participation_ratio(x))


def test_collapsed_clips_and_too_few_have_no_participation_ratio(rng):
    with pytest.raises(ValueError, match="hardly vary"):
        participation_ratio(np.ones((6, 3)))
    with pytest.raises(ValueError, match="got 3"):
        participation_ratio(rng.normal(size=(3, 3)))


def test_a_lone_clip_has_no_diversity():
    with pytest.raises(ValueError, match="got 1"):
        embedding_diversity(np.eye(1))


def test_mean_cosine_is_the_mean_over_all_pairs(rng):
    x, y = random_unit_rows(rng, 4, 3), random_unit_rows(rng, 6, 3)
    assert cosines_to_reference(x, y) == pytest.approx((x @ y.T).mean(1))
    assert reference_cosine(x, y) == pytest.approx(np.mean(x @ y.T))


def test_nearest_finds_a_copy(rng):
    reference = random_unit_rows(rng, 9, 4)
    found = nearest(reference[[7, 2]], reference)
    assert found.index.tolist() == [7, 2]
    assert found.cosine == pytest.approx([1, 1])
