import numpy as np
import pytest

from eval.intervals import jackknife_interval, real_floor
from eval.metrics import METRICS
from eval.scores import compare, interval_groups, score_clips


def source(rng, n, shift=0.0, spread=1.0):
    """Unit rows around a common direction, as embeddings lie."""
    x = spread * rng.normal(size=(n, 6)) + np.array([3 + shift, shift, 0, 0, 0, 0])
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_intervals_of_kernel_distance_hold_the_truth_with_grouped_clips(rng):
    metric, reference, groups = METRICS["kad"], source(rng, 80), [row // 3 for row in range(24)]
    values, spans = [], []
    for _ in range(60):
        prompts = source(rng, 8, shift=0.3)
        x = prompts.repeat(3, axis=0) + 0.1 * rng.normal(size=(24, 6))
        values.append(metric.score(x, reference))
        spans.append(jackknife_interval(metric.of_rows(x, reference), groups))
    held = [low <= np.mean(values) <= high for low, high in spans]
    assert np.mean(held) > 0.85


def test_fewer_than_five_groups_give_no_interval():
    assert jackknife_interval(lambda keep: float(keep.mean()), [1, 1, 2, 2, 3, 4]) is None


def test_real_clips_have_no_excess_and_shifted_ones_have(rng):
    fad = METRICS["fad"].score
    reference = source(rng, 60)
    same, off = (real_floor(fad, source(rng, 15, shift), reference) for shift in (0, 2))
    assert same.n == off.n == 15
    assert same.low <= same.mean <= same.high
    assert abs(same.excess) < 0.1 * off.excess


def test_a_reference_smaller_than_the_clips_floors_at_half_of_it(rng):
    assert real_floor(METRICS["fad"].score, source(rng, 40), source(rng, 20)).n == 10


def test_a_reference_of_three_has_no_floor(rng):
    assert real_floor(METRICS["fad"].score, source(rng, 9), source(rng, 3)) is None


def test_every_metric_sees_clips_move_toward_the_reference(rng):
    reference, near = source(rng, 60), source(rng, 20, shift=0.1)
    far = source(rng, 20, shift=4, spread=0.3)
    moves = compare(far, near, reference, list(range(20)))
    assert all(move.toward for move in moves.values())
    assert all(move.sure for name, move in moves.items() if name != "fad")
    assert moves["fad"].sure is None


def test_no_change_is_not_sure(rng):
    x = source(rng, 10)
    moves = compare(x, x, source(rng, 20), list(range(10)))
    assert not any(move.sure or move.toward for move in moves.values())


def test_each_score_lies_in_its_interval(rng):
    for score in score_clips(source(rng, 12), source(rng, 30), range(12)).values():
        assert score.low is None or score.low <= score.value <= score.high


@pytest.mark.parametrize(
    ("prompts", "over"),
    [(["a", "b", "c", "d", "e"], "prompts"), (["a"] * 5, "clips"), ([None] * 9, "clips")],
)
def test_intervals_are_over_prompts_where_there_are_enough(prompts, over):
    groups, said = interval_groups(prompts)
    assert said == over
    assert len(set(groups)) == len(prompts)


def test_embeddings_that_are_not_unit_rows_are_named_before_anything_is_scored(rng):
    good, bad = source(rng, 8), source(rng, 8)
    bad[5, 0] = np.nan
    with pytest.raises(ValueError, match="1 of 8 clips: embedding not finite, first row 5"):
        score_clips(bad, good, range(8))
    with pytest.raises(ValueError, match=r"8 of 8 reference clips: .* not of length 1"):
        score_clips(good, 3 * good, range(8))
