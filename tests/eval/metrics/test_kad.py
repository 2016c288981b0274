import numpy as np
import pytest

from eval.metrics.distances import pair_distances
from eval.metrics.kad import bandwidth, kernel_distance, kernel_matrices, permutation_p


def by_definition(x, y):
    """Three plain sums over pairs, as the paper writes them."""
    s = np.median([np.linalg.norm(a - b) for i, a in enumerate(y) for b in y[:i]])

    def k(a, b):
        return np.exp(-np.square(a - b).sum() / (2 * s * s))

    def own(z):
        return np.mean([k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])

    return 100 * (own(x) + own(y) - 2 * np.mean([k(a, b) for a in x for b in y]))


def test_agrees_with_the_definition(rng):
    x, y = rng.normal(size=(7, 3)) + 1, rng.normal(size=(9, 3))
    assert kernel_distance(x, y) == pytest.approx(by_definition(x, y))


def test_two_samples_of_one_source_score_zero_on_average(rng):
    y = rng.normal(size=(200, 8))
    nulls = [kernel_distance(rng.normal(size=(10, 8)), y) for _ in range(100)]
    assert min(nulls) < 0  # unbiased: not clipped
    assert abs(np.mean(nulls)) < 4 * np.std(nulls) / np.sqrt(len(nulls))


def test_a_shift_is_seen(rng):
    x, y = rng.normal(size=(30, 8)), rng.normal(size=(100, 8))
    assert kernel_distance(x + 1, y) > 10 * abs(kernel_distance(x, y))


def test_the_ruler_comes_from_the_reference_alone(rng):
    y = rng.normal(size=(40, 3))
    assert bandwidth(5 * y) == pytest.approx(5 * bandwidth(y))


def test_leaving_a_row_out_equals_never_having_had_it(rng):
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(9, 3))
    keep = np.array([0, 1, 3, 4, 5])
    assert kernel_matrices(x, y).distance(keep) == pytest.approx(kernel_distance(x[keep], y))


def test_one_clip_and_equal_references_are_refused(rng):
    x = rng.normal(size=(5, 3))
    with pytest.raises(ValueError, match="got 1 and 5"):
        kernel_distance(x[:1], x)
    with pytest.raises(ValueError, match="equal"):
        kernel_distance(x, np.full((5, 3), 3**-0.5, np.float32))


def test_the_ruler_does_not_move_with_the_set_measured(rng):
    y = rng.normal(size=(60, 8))
    tight = 0.4 * rng.normal(size=(30, 8))
    assert kernel_matrices(tight, y).yy_mean == kernel_matrices(y, y).yy_mean


def test_pair_distances_agree_with_plain_differences(rng):
    x = rng.normal(size=(5, 3)).astype(np.float32)
    plain = [np.square(x[i] - x[j], dtype=float).sum() for i in range(5) for j in range(i + 1, 5)]
    assert pair_distances(x) == pytest.approx(np.array(plain))


def test_permutation_p_agrees_with_distances_of_real_splits(rng):
    x, y, permutations = rng.normal(size=(4, 2)) + 0.5, rng.normal(size=(9, 2)), 40
    pooled, chosen = np.concatenate([x, y]), np.zeros((permutations, 13))
    chosen[:, :4] = 1
    chosen = np.random.default_rng(3).permuted(chosen, axis=1) == 1
    gamma = 1 / (2 * bandwidth(y) ** 2)
    square = np.square(pooled[:, None] - pooled).sum(2)
    kernel = np.exp(-gamma * square) - np.eye(13)

    def distance(own):
        xx, yy, xy = kernel[own][:, own], kernel[~own][:, ~own], kernel[own][:, ~own]
        return xx.sum() / 12 + yy.sum() / 72 - 2 * xy.mean()

    more = sum(distance(own) >= distance(np.arange(13) < 4) for own in chosen)
    assert permutation_p(x, y, permutations, seed=3) == (more + 1) / (permutations + 1)


def test_permutation_p_rejects_one_source_as_seldom_as_it_says(rng):
    ps = [
        permutation_p(rng.normal(size=(10, 6)), rng.normal(size=(40, 6)), 99, seed)
        for seed in range(200)
    ]
    assert 0.01 < np.mean(np.array(ps) <= 0.05) < 0.1
    assert np.mean(ps) == pytest.approx(0.5, abs=0.07)


def test_ten_clips_are_enough_to_see_a_clear_shift(rng):
    x, y = rng.normal(size=(10, 6)) + 0.9, rng.normal(size=(100, 6))
    assert permutation_p(x, y, 999) == 1 / 1000
    assert permutation_p(x[:1].repeat(10, 0), y, 99) == 1 / 100  # one clip ten times
