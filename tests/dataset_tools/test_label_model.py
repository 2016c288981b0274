import numpy as np
import pytest

from dataset_tools.label_model import LabelModel, agreeing_prior, fit_label_model, log_posterior


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def drawn(rng, items, balance, recalls, specificities):
    """Votes of functions that vote 1 or -1, right at the given rates, and the truth."""
    true = rng.random(items) < balance
    right = np.where(true[:, None], recalls, specificities)
    agrees = rng.random(right.shape) < right
    return np.where(agrees == true[:, None], 1, -1), true


def test_one_vote_shifts_the_odds_by_its_likelihood_ratio():
    table = np.array([[[0.7, 0.1], [0.2, 0.3], [0.1, 0.6]]])
    model = LabelModel(0.25, table)
    # odds 1/3 times 6, 3/2, 1/7
    expected = [2 / 3, 1 / 3, 1 / 22]
    assert model.probabilities(np.array([[1], [0], [-1]])) == pytest.approx(expected)


def test_two_functions_multiply():
    table = np.array([[[0.7, 0.1], [0.2, 0.3], [0.1, 0.6]]] * 2)
    assert LabelModel(0.5, table).probabilities(np.array([[1, 1]]))[0] == pytest.approx(36 / 37)


def test_abstentions_without_evidence_are_ignored():
    table = np.array([[[0.7, 0.1], [0.2, 0.3], [0.1, 0.6]]] * 2)
    one = LabelModel(0.25, table[:1]).probabilities(np.array([[1]]))
    both = LabelModel(0.25, table).probabilities(np.array([[1, -1]]), np.array([[True, False]]))
    assert both == pytest.approx(one)


def test_known_accuracies_and_balance_are_recovered(rng):
    recalls, specificities = [0.9, 0.75, 0.6, 0.85], [0.95, 0.8, 0.7, 0.6]
    votes, true = drawn(rng, 40_000, 0.3, recalls, specificities)
    model = fit_label_model(votes)
    assert model.converged
    assert model.balance == pytest.approx(0.3, abs=0.02)
    assert model.table[:, 2, 1] == pytest.approx(recalls, abs=0.02)
    assert model.table[:, 0, 0] == pytest.approx(specificities, abs=0.02)
    assert np.mean(model.probabilities(votes)[true] > 0.5) > 0.85


def test_probabilities_mean_what_they_say(rng):
    votes, true = drawn(rng, 40_000, 0.5, [0.9, 0.75, 0.6, 0.85], [0.85, 0.8, 0.7, 0.6])
    p = fit_label_model(votes).probabilities(votes)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        near = (p >= low) & (p < low + 0.2)
        assert true[near].mean() == pytest.approx(p[near].mean(), abs=0.04)


def test_silence_is_evidence_when_the_classes_differ_in_it(rng):
    true = rng.random(20_000) < 0.5
    speaks = rng.random((20_000, 3)) < np.where(true[:, None], 0.6, 0.05)
    model = fit_label_model(speaks.astype(int))
    assert model.table[:, 1, 1] == pytest.approx(0.4, abs=0.04)
    assert model.table[:, 1, 0] == pytest.approx(0.95, abs=0.04)
    assert model.probabilities(np.zeros((1, 3), int))[0] < 0.15


def test_negating_every_vote_negates_the_answer(rng):
    votes, _ = drawn(rng, 500, 0.3, [0.9, 0.7, 0.6], [0.8, 0.8, 0.9])
    votes[rng.random(votes.shape) < 0.3] = 0
    forth = fit_label_model(votes).probabilities(votes)
    back = fit_label_model(-votes).probabilities(-votes)
    assert back == pytest.approx(1 - forth, abs=1e-4)


def test_the_order_of_the_items_does_not_matter(rng):
    votes, _ = drawn(rng, 300, 0.3, [0.9, 0.7, 0.6], [0.8, 0.8, 0.9])
    order = rng.permutation(300)
    a, b = fit_label_model(votes), fit_label_model(votes[order])
    assert np.array_equal(a.probabilities(votes)[order], b.probabilities(votes[order]))


@pytest.mark.parametrize("seed", range(5))
def test_every_round_is_at_least_as_good_as_the_one_before(seed):
    rng = np.random.default_rng(seed)
    votes = rng.integers(-1, 2, (60, 4))
    applies = rng.random(votes.shape) < 0.8
    prior = agreeing_prior(votes, applies, strength=3.0)
    scores = [
        log_posterior(
            fit_label_model(votes, applies, prior=prior, max_rounds=n),
            votes,
            applies,
            prior,
            (2.0, 2.0),
        )
        for n in range(1, 15)
    ]
    assert np.diff(scores).min() > -1e-9


def test_a_vote_never_becomes_evidence_for_its_opposite(rng):
    votes, _ = drawn(rng, 5000, 0.5, [0.9, 0.9, 0.9, 0.1], [0.9, 0.9, 0.9, 0.1])
    table = fit_label_model(votes).table
    assert (table[:, 2, 1] >= table[:, 2, 0]).all() and (table[:, 0, 0] >= table[:, 0, 1]).all()
    assert table[3, :, 0] == pytest.approx(table[3, :, 1])  # it counts for nothing


def test_a_single_function_is_trusted_in_part():
    votes = np.array([[1]] * 10 + [[0]] * 10 + [[-1]] * 10)
    yes, silent, no = fit_label_model(votes).probabilities(np.array([[1], [0], [-1]]))
    assert no < 0.3 < silent < 0.7 < yes < 1
    assert silent == pytest.approx(0.5, abs=1e-3)


def test_one_item_is_judged_by_the_priors():
    votes = np.array([[1, 0]])
    assert 0.6 < fit_label_model(votes).probabilities(votes)[0] < 0.95


def test_three_items_keep_the_meaning_of_their_votes():
    votes = np.array([[1, 1], [0, -1], [0, 0]])
    p = fit_label_model(votes).probabilities(votes)
    assert p[0] > 0.8 and p[1] < 0.3 and 0.3 < p[2] < 0.7


def test_items_without_any_vote_get_the_balance(rng):
    votes, _ = drawn(rng, 2000, 0.2, [0.9, 0.9, 0.9], [0.9, 0.9, 0.9])
    applies = np.ones(votes.shape, bool)
    applies[:100] = False
    model = fit_label_model(votes, applies)
    assert model.probabilities(votes, applies)[:100] == pytest.approx(model.balance)


def test_no_items_at_all_leave_the_prior():
    model = fit_label_model(np.zeros((0, 2), int), balance_prior=(3.0, 1.0))
    assert model.balance == 0.25
    assert model.probabilities(np.zeros((0, 2), int)).shape == (0,)


def test_a_fit_cut_short_says_so(rng):
    votes, _ = drawn(rng, 500, 0.3, [0.9, 0.7, 0.6], [0.8, 0.8, 0.9])
    assert not fit_label_model(votes, max_rounds=1).converged


def test_votes_of_another_scale_are_refused():
    with pytest.raises(ValueError, match="votes are -1, 0 or 1"):
        fit_label_model(np.array([[2]]))


def test_impossible_votes_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        fit_label_model(np.array([[1]]), prior=np.zeros((1, 3, 2)))


def test_functions_of_one_kind_share_a_table_and_their_order_means_nothing(rng):
    votes, _ = drawn(rng, 500, 0.4, [0.9, 0.7, 0.8], [0.9, 0.7, 0.8])
    model = fit_label_model(votes, kinds=[0, 0, 1])
    assert model.table[0] == pytest.approx(model.table[1])
    swapped = fit_label_model(votes[:, [1, 0, 2]], kinds=[0, 0, 1])
    assert swapped.probabilities(votes[:, [1, 0, 2]]) == pytest.approx(model.probabilities(votes))


def test_more_functions_than_an_integer_has_bits(rng):
    votes, true = drawn(rng, 50, 0.5, [0.8] * 40, [0.8] * 40)
    assert ((fit_label_model(votes).probabilities(votes) > 0.5) == true).mean() > 0.95
