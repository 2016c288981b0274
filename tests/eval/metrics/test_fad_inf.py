import numpy as np
import pytest

from eval.metrics.fad import frechet_distance
from eval.metrics.fad_inf import fad_infinity

SPREAD = np.arange(1.0, 33.0) ** -0.5


def drawn(rng, n, shift=0.0):
    return rng.normal(size=(n, 32)) * SPREAD + shift


def test_the_bias_of_finite_sets_is_gone_and_the_shift_remains(rng):
    for shift in (0, 0.1):
        x, y, truth = drawn(rng, 1000, shift), drawn(rng, 1000), 32 * shift**2
        found = fad_infinity(x, y, seed=0)
        assert frechet_distance(x, y) > truth + 0.05
        assert found.low < truth < found.high
        assert found.value == pytest.approx(truth, abs=0.06)


def test_the_line_says_what_fad_is_at_its_sizes(rng):
    x, y = drawn(rng, 1000), drawn(rng, 1000)
    found = fad_infinity(x, y, seed=0)
    assert (found.sizes[0], found.sizes[-1], found.r2 > 0.9) == (500, 1000, True)
    assert found.value + found.slope / 1000 == pytest.approx(frechet_distance(x, y), rel=0.05)


def test_equal_seeds_give_equal_results(rng):
    x, y = drawn(rng, 1000), drawn(rng, 1000)
    assert fad_infinity(x, y, seed=3) == fad_infinity(x, y, seed=3) != fad_infinity(x, y, seed=4)


def test_fewer_than_a_thousand_clips_are_refused_with_the_reason(rng):
    with pytest.raises(ValueError, match=r"got 999 and 1000: .*use KAD"):
        fad_infinity(np.zeros((999, 2)), np.zeros((1000, 2)), seed=0)
