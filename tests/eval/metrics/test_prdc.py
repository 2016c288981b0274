import numpy as np
import pytest

from eval.metrics.prdc import expected_coverage, precision_recall_coverage


def by_loops(x, y, k):
    """Ball by ball, as the papers define them."""

    def radius(rows, i):
        return sorted(np.linalg.norm(rows - rows[i], axis=1))[k]  # place 0 is the row itself

    def inside(points, rows):
        return [
            [np.linalg.norm(p - c) <= radius(rows, i) for i, c in enumerate(rows)] for p in points
        ]

    real, own = np.array(inside(x, y)), np.array(inside(y, x))
    return real.any(1).mean(), own.any(1).mean(), real.any(0).mean()


def test_agrees_with_plain_loops(rng):
    x, y = rng.normal(size=(30, 3)) + 0.7, rng.normal(size=(30, 3))
    found = precision_recall_coverage(x, y, neighbours=3)
    assert (found.precision, found.recall, found.coverage) == pytest.approx(by_loops(x, y, 3))


def test_a_set_is_all_of_itself_and_nothing_of_a_far_one(rng):
    x = rng.normal(size=(40, 4))
    same, far = precision_recall_coverage(x, x), precision_recall_coverage(x + 99, x)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert (far.precision, far.recall, far.coverage) == (0, 0, 0)


def test_bland_clips_keep_precision_and_lose_recall(rng):
    x, y = 0.3 * rng.normal(size=(60, 8)), rng.normal(size=(60, 8))
    found = precision_recall_coverage(x, y)
    assert found.precision == 1
    assert found.recall < 0.2


def test_clips_of_one_kind_of_four_cover_a_quarter(rng):
    kinds = 50 * rng.integers(0, 4, size=(80, 1)) + rng.normal(size=(80, 3))
    found = precision_recall_coverage(rng.normal(size=(80, 3)), kinds)
    assert found.coverage == pytest.approx((kinds[:, 0] < 25).mean(), abs=0.03)
    assert found.precision > 0.8


@pytest.mark.parametrize(("n", "m"), [(10, 60), (40, 40)])
def test_expected_coverage_is_the_mean_of_fresh_real_sets(rng, n, m):
    def covered():
        x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
        radii = np.sort(np.linalg.norm(y[:, None] - y, axis=2), axis=1)[:, 5]
        return (np.linalg.norm(x[:, None] - y, axis=2) <= radii).any(0).mean()

    assert np.mean([covered() for _ in range(300)]) == pytest.approx(
        expected_coverage(n, m), abs=0.02
    )


def test_unmatched_numbers_make_coverage_tiny_for_perfect_clips():
    assert expected_coverage(10, 1000) == pytest.approx(0.049, abs=5e-4)
    assert expected_coverage(100, 1000) == pytest.approx(0.38, abs=5e-3)


def test_a_larger_reference_is_thinned_to_the_clips_number(rng):
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(600, 3))
    found = precision_recall_coverage(x, y, seed=1)
    assert found.n == 30
    assert found.coverage == pytest.approx(found.coverage_expected, abs=0.15)
    assert (
        found == precision_recall_coverage(x, y, seed=1) != precision_recall_coverage(x, y, seed=2)
    )


def test_fewer_than_thirty_clips_are_refused(rng):
    with pytest.raises(ValueError, match="30 or more clips; got 29 and 100"):
        precision_recall_coverage(rng.normal(size=(29, 3)), rng.normal(size=(100, 3)))
