import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from eval.fad import frechet_distance


def by_matrix_root(x, y):
    """The textbook form, with scipy's general matrix square root."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(s @ t).real
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t - 2 * root)


@pytest.mark.parametrize("n", [3, 20, 200])
def test_distance_to_itself_is_zero(rng, n):
    x = rng.normal(size=(n, 20))
    assert 0 <= frechet_distance(x, x) < 1e-12


@pytest.mark.parametrize("n", [5, 200])
def test_scaling_by_1_3_gives_its_closed_form(rng, n):
    x = rng.normal(size=(n, 12)) + 1
    spread = np.trace(np.cov(x, rowvar=False)) + np.square(x.mean(0)).sum()
    assert frechet_distance(x, 1.3 * x) == pytest.approx(0.09 * spread)


def test_pure_shift_gives_its_squared_length(rng):
    x = rng.normal(size=(50, 4))
    assert frechet_distance(x, x + 3) == pytest.approx(4 * 3**2)


def test_agrees_with_the_matrix_square_root(rng):
    x, y = rng.normal(size=(60, 8)), rng.normal(size=(40, 8)) @ rng.normal(size=(8, 8))
    assert frechet_distance(x, y) == pytest.approx(by_matrix_root(x, y), rel=1e-8)


def test_both_forms_agree_on_fewer_clips_than_dimensions(rng):
    x, y = rng.normal(size=(9, 8)), rng.normal(size=(40, 8))
    padded = [np.pad(z, ((0, 0), (0, 40))) for z in (x, y)]
    assert frechet_distance(*padded) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_float32_is_measured_in_float64(rng):
    x = rng.normal(size=(10, 64)).astype(np.float32)
    assert frechet_distance(x, x) < 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 9), st.integers(0, 99))
def test_symmetric_and_never_negative(n, m, dim, seed):
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(n, dim)), draw.normal(size=(m, dim))
    assert frechet_distance(x, y) >= 0
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), abs=1e-7)


def test_one_clip_is_refused(rng):
    with pytest.raises(ValueError, match="got 50 and 1"):
        frechet_distance(rng.normal(size=(50, 4)), rng.normal(size=(1, 4)))
