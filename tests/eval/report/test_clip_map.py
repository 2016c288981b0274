import numpy as np
import pytest

from eval.report.clip_map import principal_plane
from eval.report.plots import MARGIN, Axis, map_positions, prompt_scatter


def test_the_plane_is_that_of_the_widest_spread(rng):
    basis = np.linalg.qr(rng.normal(size=(5, 5))).Q
    rows = rng.normal(size=(400, 5)) * [4, 2, 0.1, 0.1, 0.1] @ basis.T
    plane, shares = principal_plane(rows, np.full(400, 1 / 400))
    assert np.abs(plane @ basis[:, :2]) == pytest.approx(np.eye(2), abs=0.05)
    assert shares == pytest.approx([0.8, 0.2], abs=0.05)


def test_each_set_weighs_alike_however_many_clips_it_has(rng):
    far = rng.normal(size=(400, 3)) * [0.1, 1, 0.1]
    few = rng.normal(size=(20, 3)) * [3, 0.1, 0.1]
    weight = np.concatenate([np.full(400, 1 / 800), np.full(20, 1 / 40)])
    plane, _ = principal_plane(np.concatenate([far, few]), weight)
    assert abs(plane[0, 0]) > 0.95


def test_two_equal_clips_still_have_a_plane():
    plane, shares = principal_plane(np.ones((2, 4)), np.full(2, 0.5))
    assert np.isfinite(plane).all()
    assert sum(shares) == pytest.approx(0, abs=1e-12)


def test_distances_on_the_map_are_true_in_both_directions():
    places = map_positions([{"place": p} for p in ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])])
    (x0, y0), (x1, _), (_, y2) = places
    assert (x1 - x0) * 1.6 == pytest.approx(y2 - y0, rel=1e-3)
    assert all(MARGIN <= value <= 100 - MARGIN for place in places for value in place)


def test_an_axis_of_one_value_is_still_an_axis():
    assert Axis(2.0, 2.0).at(2.0) == MARGIN


def test_prompts_with_one_clip_or_without_words_have_no_place():
    row = {"number": 1, "diversity": None, "similarity": 0.3}
    assert prompt_scatter({"clips": [row], "before": []}, 0.1) is None
    both = prompt_scatter({"clips": [row, row | {"number": 2, "diversity": 0.2}]}, 0.1)
    assert list(both.places["clips"]) == [2]
    assert both.places["clips"][2][0] > both.alike
