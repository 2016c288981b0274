import numpy as np
import pytest

from eval.intervals import jackknife_interval
from eval.metrics.diversity import mean_cosine_distance
from eval.metrics.fad import frechet_distance
from eval.metrics.kad import kernel_distance, kernel_matrices

SPREAD = np.arange(1.0, 33.0) ** -0.5


def drawn(rng, n, shift=0.0):
    x = rng.normal(size=(n, 32)) * SPREAD + 3 * np.eye(32)[0] + shift
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def bootstrap(score, x, rng):
    """The usual one: percentiles over clips drawn with repeats."""
    return np.quantile(
        [score(x[rng.integers(0, len(x), len(x))]) for _ in range(40)], [0.025, 0.975]
    )


@pytest.mark.parametrize("n", [10, 30])
def test_jackknife_intervals_of_diversity_hold_the_truth(rng, n):
    truth, held = mean_cosine_distance(drawn(rng, 20_000)), []
    for _ in range(200):
        x = drawn(rng, n)
        low, high = jackknife_interval(lambda keep, x=x: mean_cosine_distance(x[keep]), range(n))
        held.append(low <= truth <= high)
    assert np.mean(held) > 0.84


def test_a_bootstrap_of_clips_misses_the_kernel_distance_and_the_jackknife_does_not(rng):
    y, held = drawn(rng, 40), []
    truth = kernel_distance(drawn(rng, 4000, 0.05), y)
    for _ in range(30):
        x = drawn(rng, 10, 0.05)
        left_out = jackknife_interval(kernel_matrices(x, y).distance, range(10))
        repeated = bootstrap(lambda rows: kernel_distance(rows, y), x, rng)
        held.append([low <= truth <= high for low, high in (left_out, repeated)])
    jackknife, boot = np.mean(held, axis=0)
    assert jackknife > 0.8
    assert boot < 0.6


def test_no_bootstrap_interval_of_fad_comes_down_to_the_truth(rng):
    x, y = drawn(rng, 10), drawn(rng, 400)
    low, _ = bootstrap(lambda rows: frechet_distance(rows, y), x, rng)
    assert low > frechet_distance(drawn(rng, 4000), y) * 3
    assert low > frechet_distance(x, y) * 0.95


def test_few_bland_clips_have_a_better_fad_than_real_ones(rng):
    middle, y = drawn(rng, 20_000).mean(0), drawn(rng, 500)

    def bland(n):
        x = middle + 0.7 * (drawn(rng, n) - middle)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def real(n):
        return drawn(rng, n)

    fads = [np.mean([frechet_distance(clips(8), y) for _ in range(10)]) for clips in (real, bland)]
    assert fads[1] < 0.95 * fads[0]
    assert frechet_distance(bland(2000), y) > 2 * frechet_distance(real(2000), y)
    kads = [np.mean([kernel_distance(clips(8), y) for _ in range(10)]) for clips in (real, bland)]
    assert kads[1] > kads[0] + 0.5  # KAD is not fooled
