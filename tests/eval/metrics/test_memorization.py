import numpy as np
import pytest

from eval.metrics.memorization import find_memorised


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def real(rng):
    """2000 real clips about a common direction."""
    return unit(rng.normal(size=(2000, 32)) / 6 + np.eye(32)[0])


def test_noisy_copies_are_flagged_and_named(rng, real):
    train, held_out, fresh = real[:500], real[500:700], real[700:720]
    copies = unit(train[[7, 300]] + 0.02 * rng.normal(size=(2, 32)) / np.sqrt(32))
    found = find_memorised(np.concatenate([fresh, copies]), train, held_out)
    assert set(found.flagged.tolist()) == {20, 21}
    assert found.nearest[[20, 21]].tolist() == [7, 300]
    assert found.cosine[found.flagged].tolist() == sorted(found.cosine[20:], reverse=True)


def test_honest_clips_are_flagged_as_seldom_as_it_says(rng, real):
    shares = []
    for _ in range(60):
        order = rng.permutation(len(real))
        train, held_out, fresh = real[order[:300]], real[order[300:340]], real[order[340:840]]
        found = find_memorised(fresh, train, held_out)
        shares.append(len(found.flagged) / 500)
    assert found.false_positive_rate == 1 / 41
    assert np.mean(shares) == pytest.approx(1 / 41, abs=0.015)


def test_held_out_clips_that_were_trained_on_are_refused(rng, real):
    rounded = unit(real[[3]] * np.float32(1.1))
    with pytest.raises(ValueError, match=r"1 held-out clips .* row 20 is training row 3"):
        find_memorised(real[100:110], real[:50], np.concatenate([real[50:70], rounded]))


def test_without_held_out_clips_there_is_no_threshold(real):
    with pytest.raises(ValueError, match="got 50 training and 0 held-out"):
        find_memorised(real[100:110], real[:50], real[:0])
