import numpy as np
import pytest

from dmm.songs.seams import band_power, seam_score

RATE = 50.0


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def piece(rng, n=3000):
    """Magnitudes (64, n) of steady noise whose level in each band wanders."""
    wander = rng.uniform(0, 20, (64, 1)) + np.cumsum(rng.normal(0, 0.3, (64, n)), axis=1)
    return (10 ** ((wander % 20 + rng.normal(0, 1, (64, n))) / 20)).astype(np.float32)


def joints(n=3000, step=200, width=40):
    return [(t, t + width) for t in range(step, n - step, step)]


def score(mel, spans, **more):
    return seam_score(band_power(mel), spans, RATE, **more)


def test_ordinary_places_score_near_0_on_average(rng):
    scores = [score(piece(rng), joints()) for _ in range(8)]
    for name in ("flux", "level", "distance"):
        # The mean of 13 joints scatters by 1 / sqrt(13), that of eight pieces by a third of it.
        assert abs(np.mean([getattr(s, name) for s in scores])) < 3 / np.sqrt(13 * 8)


def test_a_dip_at_the_joints_is_a_negative_level(rng):
    mel = piece(rng)
    for a, b in joints():
        mel[:, a:b] *= 10 ** (-6 / 20)
    found = score(mel, joints())
    assert found.level < -2 and found.farthest_z == min(found.level, found.flux)


def test_blur_lowers_the_flux_and_a_click_raises_it(rng):
    clean = piece(rng)
    blurred, clicked = clean.copy(), clean.copy()
    for a, b in joints():
        blurred[:, a:b] = clean[:, a:b].mean(1, keepdims=True)
        clicked[:, a + 20] *= 30
    assert score(blurred, joints()).flux < -2 < 2 < score(clicked, joints()).flux


def test_different_music_after_each_joint_is_a_distance(rng):
    one, other = piece(rng), piece(rng)
    other *= np.geomspace(0.1, 10, 64)[:, None]
    mixed = one.copy()
    for t in range(200, 2800, 400):
        mixed[:, t : t + 200] = other[:, t : t + 200]
    cuts = [(t, t) for t in range(200, 3000, 200)]
    assert score(mixed, cuts).distance > 2


def test_gain_changes_nothing(rng):
    mel = piece(rng)
    assert score(mel, joints()).farthest_z == pytest.approx(
        score(mel * 0.01, joints()).farthest_z, rel=1e-3
    )


def test_ignored_spans_are_not_compared_with(rng):
    mel = piece(rng)
    plain = score(mel, joints()[:3], ignored=[(950, 1250)])
    mel[:, 1000:1200] = mel[:, 1000:1200][::-1]
    assert score(mel, joints()[:3], ignored=[(950, 1250)]) == plain
    assert score(mel, joints()[:3]) != plain


def test_a_song_without_joints_or_other_places_is_refused(rng):
    with pytest.raises(ValueError, match="no joint"):
        score(piece(rng), [(0, 10)])
    with pytest.raises(ValueError, match="0 places"):
        score(piece(rng), [(30, 2960)])
