import numpy as np
import pytest

from eval.metrics.vendi import vendi_score, vendi_scores_of_both


def unit(rng, n, dim):
    x = rng.normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_counts_different_clips():
    assert vendi_score(np.eye(5)) == pytest.approx(5)
    assert vendi_score(np.eye(5)[[0] * 5]) == pytest.approx(1)
    assert vendi_score(np.eye(5)[[0, 0, 1, 1]]) == pytest.approx(2)  # whatever their number


def test_either_side_of_the_matrix_gives_the_same(rng):
    x = unit(rng, 7, 5)
    padded = np.pad(x, ((0, 0), (0, 9)))
    assert vendi_score(x) == pytest.approx(vendi_score(padded))


def test_grows_with_the_number_of_clips_of_one_source(rng):
    few, many = (np.mean([vendi_score(unit(rng, n, 20)) for _ in range(30)]) for n in (10, 100))
    assert many > 1.5 * few


def test_a_pair_is_compared_at_the_smaller_number(rng):
    found = vendi_scores_of_both(unit(rng, 10, 20), unit(rng, 400, 20), seed=0)
    assert found.n == 10
    assert found.score == pytest.approx(found.reference_score, rel=0.1)


def test_a_lone_clip_is_refused():
    with pytest.raises(ValueError, match="got 1 and 3"):
        vendi_scores_of_both(np.eye(3)[:1], np.eye(3))
