import math

import numpy as np
import pytest
from scipy import stats

from dmm.training.ablation.statistics import (
    detectable_effect,
    estimate,
    few_seeds_warning,
    holm,
    paired_difference,
    with_holm,
)


def by_seed(values):
    return dict(enumerate(map(float, values)))


def test_the_interval_is_the_t_interval_of_a_mean(rng):
    values = rng.normal(3, 2, size=7)
    found = estimate(by_seed(values))
    expected = stats.t.interval(0.95, 6, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.mean == pytest.approx(values.mean())


def test_the_interval_covers_the_truth_as_often_as_it_says(rng):
    found = [estimate(by_seed(rng.normal(size=3))) for _ in range(2000)]
    assert np.mean([e.low < 0 < e.high for e in found]) == pytest.approx(0.95, abs=0.015)


def test_one_seed_has_a_mean_and_nothing_that_looks_sure():
    found = estimate({0: 0.25})
    assert (found.mean, found.low, found.high) == (0.25, None, None)
    difference = paired_difference({0: 0.25}, {0: 0.5})
    assert (difference.mean, difference.low, difference.p) == (-0.25, None, None)
    assert "no interval" in few_seeds_warning(1)


def test_failed_runs_are_named_and_not_averaged():
    found = estimate({0: 1.0, 1: math.nan, 2: 3.0, 3: None, 4: math.inf})
    assert (found.mean, found.missing) == (2.0, (1, 3, 4))
    nothing = estimate({0: None, 1: math.nan})
    assert (nothing.n, nothing.mean, nothing.missing) == (0, None, (0, 1))


def test_a_paired_difference_is_scipys_paired_t_test(rng):
    ours, theirs = rng.normal(size=6), rng.normal(0.5, size=6)
    found, oracle = (
        paired_difference(by_seed(ours), by_seed(theirs)),
        stats.ttest_rel(ours, theirs),
    )
    assert (found.t, found.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert (found.low, found.high) == pytest.approx(oracle.confidence_interval())


def test_only_seeds_that_both_have_are_paired():
    found = paired_difference({0: 1.0, 1: 2.0, 2: None, 3: 4.0}, {1: 1.0, 2: 1.0, 3: 2.0, 4: 9.0})
    assert (found.n, found.mean) == (2, 1.5)
    assert paired_difference({0: 1.0}, {1: 1.0}).mean is None


def test_pairing_takes_away_what_seeds_share(rng):
    shared = rng.normal(0, 100, size=5)
    ours = by_seed(shared + 1 + rng.normal(0, 0.01, 5))
    assert paired_difference(ours, by_seed(shared)).p < 1e-6


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_equal_differences_are_no_proof(shift):
    theirs = {0: 0.3, 1: 0.7, 2: 0.1}
    found = paired_difference({seed: v + shift for seed, v in theirs.items()}, theirs)
    assert found.mean == pytest.approx(shift)
    assert (found.t, found.p) == (None, None)


def test_holm_multiplies_by_the_tests_that_are_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_holm_rejects_what_its_step_down_procedure_rejects(rng):
    for _ in range(50):
        p = rng.uniform(0, 0.1, size=5)
        rejected, order = set(), np.argsort(p)
        for rank, place in enumerate(order):
            if p[place] > 0.05 / (5 - rank):
                break
            rejected.add(int(place))
        assert {i for i, q in enumerate(holm(list(p))) if q <= 0.05} == rejected


def test_a_comparison_without_a_test_is_not_counted():
    theirs = by_seed([1, 2, 4])
    found = with_holm(
        {
            "a": paired_difference(by_seed([2, 4, 5]), theirs),
            "failed": paired_difference({0: None}, theirs),
        }
    )
    assert found["a"].p_holm == found["a"].p and found["failed"].p_holm is None


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_the_detectable_effect_needs_cohens_sample_sizes(effect, n):
    assert detectable_effect(n) <= effect < detectable_effect(n - 1)


def test_the_detectable_effect_is_found_in_four_of_five_simulated_ablations(rng):
    pairs = rng.normal(detectable_effect(3), 1, size=(4000, 3))
    found = stats.ttest_1samp(pairs, 0, axis=1).pvalue < 0.05
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)


def test_few_seeds_come_with_a_caution_and_many_do_not():
    assert "3 seeds" in few_seeds_warning(3) and "0.25" in few_seeds_warning(3)
    assert few_seeds_warning(10) is None
    with pytest.raises(ValueError, match="got 1"):
        detectable_effect(1)
