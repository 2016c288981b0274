import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from scipy.stats import special_ortho_group

from eval.metrics.fad import fit_gaussian, frechet_distance, gaussian_distance


def unit(rng, n, dim, shift=0.0):
    """Unit rows about a common direction, as embeddings lie."""
    x = rng.normal(size=(n, dim)) / np.sqrt(dim)
    x[:, 0] += 1 - shift
    x[:, 1] += shift
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def by_matrix_root(x, y):
    """The textbook form, with scipy's general matrix square root."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(s @ t).real
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t - 2 * root)


def by_fifty_digits(x, y):
    """Means, covariances and roots in 50 digits: tr sqrt(S T) = tr sqrt(R T R), R = sqrt(S)."""
    with mpmath.workdps(50):
        (mean_x, s), (mean_y, t) = (_moments(mpmath.matrix(z.tolist())) for z in (x, y))
        values, vectors = mpmath.eigsy(s)
        root = vectors * mpmath.diag([mpmath.sqrt(max(0, v)) for v in values]) * vectors.T
        product = mpmath.eigsy(root * t * root, eigvals_only=True)
        cross = mpmath.fsum(mpmath.sqrt(max(0, v)) for v in product)
        shift = mpmath.fsum(d * d for d in mean_x - mean_y)
        spread = mpmath.fsum(s[i, i] + t[i, i] for i in range(s.rows))
        return float(shift + spread - 2 * cross)


def _moments(rows):
    ones = mpmath.ones(1, rows.rows)
    mean = ones * rows / rows.rows
    centred = rows - ones.T * mean
    return mean, centred.T * centred / (rows.rows - 1)


@pytest.mark.parametrize(("n", "m"), [(3, 4), (4, 30), (7, 7), (30, 5), (25, 30)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_fifty_digits_with_fewer_and_more_clips_than_dimensions(rng, n, m, dtype):
    x, y = unit(rng, n, 6).astype(dtype), unit(rng, m, 6, shift=0.5).astype(dtype)
    assert frechet_distance(x, y) == pytest.approx(by_fifty_digits(x, y), abs=1e-12)


@pytest.mark.parametrize("decay", [0, 2, 4, 8])
def test_equals_fifty_digits_however_flat_the_cloud(rng, decay):
    scale = np.arange(1.0, 7.0) ** -decay  # condition up to 1e12
    x = rng.normal(size=(20, 6)) * scale
    y = x[::-1] * rng.normal(1, 0.2, size=(20, 1))
    assert frechet_distance(x, y) == pytest.approx(by_fifty_digits(x, y), abs=1e-12)


@pytest.mark.parametrize("n", [10, 100, 512, 513, 1000])
def test_the_known_distances_hold_to_1e_12_in_claps_512_dimensions(rng, n):
    x = unit(rng, n, 512)
    spread = (n * np.square(x).mean(0) - n * np.square(x.mean(0))).sum() / (n - 1)
    assert frechet_distance(x, x) < 1e-12
    grown = 0.09 * (spread + np.square(x.mean(0)).sum())
    assert frechet_distance(x, 1.3 * x) == pytest.approx(grown, abs=1e-12)
    assert frechet_distance(x, x + 0.01) == pytest.approx(512 * 0.01**2, abs=1e-12)


def test_many_clips_in_few_directions_lose_no_digits(rng):
    x = np.pad(rng.normal(size=(200, 5)), ((0, 0), (0, 15))) @ special_ortho_group.rvs(20, 1, rng)
    assert frechet_distance(x, x) < 1e-12  # by roots of covariances: 1e-7


def test_saved_statistics_give_the_distance_of_the_clips(rng):
    few, some, many = (unit(rng, n, 16, shift=n / 200) for n in (9, 40, 100))
    for x, y in [(few, many), (some, many), (many, few)]:
        saved = gaussian_distance(fit_gaussian(x), fit_gaussian(y))
        assert saved == pytest.approx(frechet_distance(x, y), abs=1e-12)
    assert fit_gaussian(many).factor.shape == (16, 16)
    assert fit_gaussian(many).n == 100


@pytest.mark.parametrize("n", [10, 100])
def test_distance_lies_within_the_bounds_of_unit_rows(rng, n):
    x, y = unit(rng, n, 64), unit(rng, n, 64, shift=0.5)
    shift = np.square(x.mean(0) - y.mean(0)).sum()
    spreads = [1 - np.square(z.mean(0)).sum() for z in (x, y)]
    low = shift + (spreads[0] ** 0.5 - spreads[1] ** 0.5) ** 2
    high = 2 - 2 * x.mean(0) @ y.mean(0)  # above 2 only if means point apart
    whole = frechet_distance(x, y) - shift
    assert low <= shift + whole * (n - 1) / n <= high < 2


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


@pytest.mark.parametrize("n", [5, 50])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_embedding_is_never_a_distance_of_zero(rng, n, bad):
    x = rng.normal(size=(n, 8))
    x[3, 2] = bad
    with pytest.raises((ValueError, np.linalg.LinAlgError)), np.errstate(invalid="ignore"):
        frechet_distance(x, rng.normal(size=(50, 8)))
