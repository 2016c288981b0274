import numpy as np
import pytest

from eval.kad import bandwidth, kernel_distance, kernel_sums


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
    assert kernel_sums(x, y).distance(keep) == pytest.approx(kernel_distance(x[keep], y))


def test_one_clip_and_equal_references_are_refused(rng):
    x = rng.normal(size=(5, 3))
    with pytest.raises(ValueError, match="got 1 and 5"):
        kernel_distance(x[:1], x)
    with pytest.raises(ValueError, match="equal"):
        kernel_distance(x, np.ones((5, 3)))
