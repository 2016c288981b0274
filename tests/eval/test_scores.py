import numpy as np
import pytest

from eval.intervals import jackknife_interval, real_floor
from eval.metric_table import HEADLINE, METRICS
from eval.metric_values import fad
from eval.metrics.clap_score import clap_score
from eval.metrics.fad import frechet_distance
from eval.metrics.kad import kernel_distance, kernel_matrices
from eval.sample import MAX_GROUPS, Reference, Sample, jackknife_groups_and_kind
from eval.scores import compare_scores, compute_scores

ALONE = ("kad", "cosine", "diversity", "fad")


def source(rng, n, shift=0.0, spread=1.0):
    """Unit rows around a common direction, as embeddings lie."""
    x = spread * rng.normal(size=(n, 6)) + np.array([3 + shift, shift, 0, 0, 0, 0])
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def sample(rows, reference, prompts=None, texts=None):
    return Sample(rows, prompts or [None] * len(rows), Reference.from_rows(reference), texts)


@pytest.fixture
def prompted(rng):
    """Clips near their prompts' rows, two seeds each, and the texts."""
    words = [f"prompt {k}" for k in range(6)]
    texts = dict(zip(words, source(rng, 6), strict=True))
    prompts = [word for word in words for _ in range(2)]
    rows = np.stack([texts[prompt] for prompt in prompts]) + 0.1 * rng.normal(size=(12, 6))
    return sample(
        rows / np.linalg.norm(rows, axis=1, keepdims=True), source(rng, 40), prompts, texts
    )


def test_intervals_of_kernel_distance_hold_the_truth_with_grouped_clips(rng):
    reference, groups = source(rng, 80), [row // 3 for row in range(24)]
    values, spans = [], []
    for _ in range(60):
        prompts = source(rng, 8, shift=0.3)
        x = prompts.repeat(3, axis=0) + 0.1 * rng.normal(size=(24, 6))
        values.append(kernel_distance(x, reference))
        spans.append(jackknife_interval(kernel_matrices(x, reference).distance, groups))
    held = [low <= np.mean(values) <= high for low, high in spans]
    assert np.mean(held) > 0.85


def test_fewer_than_five_groups_give_no_interval():
    assert jackknife_interval(lambda keep: float(keep.mean()), [1, 1, 2, 2, 3, 4]) is None


def test_real_clips_have_no_excess_and_shifted_ones_have(rng):
    reference = source(rng, 60)
    same, off = (fad(sample(source(rng, 15, shift), reference)) for shift in (0, 2))
    assert same.real_n == off.real_n == 15
    assert same.real_interval[0] <= same.real <= same.real_interval[1]
    assert abs(same.excess) < 0.1 * off.excess


def test_a_reference_smaller_than_the_clips_floors_at_half_of_it(rng):
    assert real_floor(frechet_distance, source(rng, 40), source(rng, 20)).n == 10


def test_a_reference_of_three_has_no_floor(rng):
    assert real_floor(frechet_distance, source(rng, 9), source(rng, 3)) is None


def test_every_distance_sees_clips_move_toward_the_reference(rng):
    reference, near = source(rng, 60), source(rng, 20, shift=0.1)
    far = source(rng, 20, shift=4, spread=0.3)
    changes = compare_scores(sample(far, reference), sample(near, reference), True, ALONE)
    assert all(change.better for change in changes.values())
    assert all(change.is_significant for name, change in changes.items() if name != "fad")
    assert changes["fad"].is_significant is None


def test_no_change_is_not_significant(rng):
    x = sample(source(rng, 10), source(rng, 20))
    assert not any(
        change.is_significant or change.better
        for change in compare_scores(x, x, True, ALONE).values()
    )


def test_variety_without_a_target_is_neither_better_nor_worse(prompted):
    changes = compare_scores(prompted, prompted, True, ["within"])
    assert changes["within"].better is None


def test_each_value_lies_in_its_interval(prompted):
    for found in compute_scores(prompted).values():
        low, high = found.interval
        assert low is None or high is None or low <= found.value <= high


def test_a_paired_change_of_similarity_is_the_mean_of_the_clips_changes(prompted, rng):
    worse = Sample(source(rng, 12, shift=3), prompted.prompts, prompted.reference, prompted.texts)
    change = compare_scores(prompted, worse, True, ["clap_score"])["clap_score"]
    text = np.stack([prompted.texts[prompt] for prompt in prompted.prompts])
    changes = ((worse.rows - prompted.rows) * text).sum(1)
    assert change.change == pytest.approx(changes.mean())
    assert change.low < change.change < change.high < 0


def test_a_change_of_similarity_is_that_of_the_clips_with_a_prompt(prompted, rng):
    prompts = ["", "", *prompted.prompts[2:]]
    before, after = (
        Sample(rows, prompts, prompted.reference, prompted.texts)
        for rows in (source(rng, 12, shift=3), prompted.rows)
    )
    change = compare_scores(before, after, True, ["clap_score"])["clap_score"]
    own = Sample(after.rows[2:], prompts[2:], after.reference, after.texts)
    assert change.after == pytest.approx(compute_scores(own, ["clap_score"])["clap_score"].value)
    assert 0 < change.low < change.change < change.high


def test_a_change_of_similarity_of_one_clip_with_a_prompt_is_not_significant(prompted, rng):
    prompts = ["prompt 0"] + [""] * 11
    before, after = (
        Sample(rows, prompts, prompted.reference, prompted.texts)
        for rows in (source(rng, 12, shift=3), prompted.rows)
    )
    change = compare_scores(before, after, True, ["clap_score"])["clap_score"]
    assert change.low < 0 < change.high


def test_similarity_is_the_clap_score_of_the_clips_that_have_a_prompt(prompted):
    one_less = Sample(
        prompted.rows, [None, *prompted.prompts[1:]], prompted.reference, prompted.texts
    )
    text = np.stack([prompted.texts[prompt] for prompt in prompted.prompts[1:]])
    expected = clap_score(prompted.rows[1:], text, prompted.prompts[1:])
    found = compute_scores(one_less, ["clap_score"])["clap_score"]
    assert (found.value, found.n) == (expected.mean, 11)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("clap_score", "no clip has a prompt"),
        ("within", "no clip has a prompt"),
        ("fad_inf", "needs 1000"),
        ("precision", "need 30"),
    ],
)
def test_a_value_that_cannot_be_computed_has_a_reason(rng, name, why):
    found = compute_scores(sample(source(rng, 10), source(rng, 20), texts={}), [name])[name]
    assert found.value is None
    assert why in found.why_not


def test_the_owners_four_come_first():
    assert HEADLINE == tuple(METRICS)[: len(HEADLINE)]


@pytest.mark.parametrize(
    ("prompts", "over"),
    [(["a", "b", "c", "d", "e"], "prompts"), (["a"] * 5, "clips"), ([None] * 9, "clips")],
)
def test_intervals_are_over_prompts_where_there_are_enough(prompts, over):
    groups, said = jackknife_groups_and_kind(prompts)
    assert said == over
    assert len(set(groups)) == len(prompts)


def test_neighbours_of_very_many_clips_share_a_group():
    groups, _ = jackknife_groups_and_kind([None] * 1000)
    assert len(set(groups)) == MAX_GROUPS
    assert groups == sorted(groups)


def test_embeddings_that_are_not_unit_rows_are_named_before_anything_is_scored(rng):
    good, bad = source(rng, 8), source(rng, 8)
    bad[5, 0] = np.nan
    with pytest.raises(ValueError, match="1 of 8 clips: embedding not finite, first row 5"):
        compute_scores(Sample(bad, [None] * 8))
    with pytest.raises(ValueError, match=r"8 of 8 reference clips: .* not of length 1"):
        compute_scores(sample(good, 3 * good))
