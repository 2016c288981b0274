"""Label model (weak supervision): probabilities from labelling functions of unknown accuracy.

Each item is true or false, and the functions vote 1 (true), -1 (false) or 0 (abstain). The model
assumes that the votes are independent given the class, each function with its own table P(vote |
class). The tables and the share of true items are learnt from the votes alone by expectation
maximisation (Dawid & Skene 1979, Applied Statistics 28(1); as "data programming" in Ratner et al.
2016, https://arxiv.org/abs/1605.07723).

An abstention is evidence too: if no tag names a voice, a voice is a little less likely. ``applies``
is False where a function does not apply (a track without tags); such an abstention is ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

NOT_APPLICABLE = 3
"""Row of the padded log table for a function that does not apply."""


@dataclass(frozen=True)
class LabelModel:
    """The learnt share of true items, and the functions' tables."""

    balance: float
    """P(item is true); also the probability of an item to which no function applies."""
    table: Float[np.ndarray, "functions 3 2"]
    """P(vote | class): votes -1, 0, 1; classes false, true."""
    rounds: int = 0
    converged: bool = True
    """Whether the last round changed less than the tolerance."""

    def probabilities(
        self,
        votes: Int[np.ndarray, "items functions"],
        applies: Bool[np.ndarray, "items functions"] | None = None,
    ) -> Float[np.ndarray, " items"]:
        """P(true) of every item; ``applies`` is False where a function does not apply."""
        likelihood = _log_likelihood(_table_rows(votes, applies), self.table)
        return _posterior(likelihood, self.balance)


def fit_label_model(
    votes: Int[np.ndarray, "items functions"],
    applies: Bool[np.ndarray, "items functions"] | None = None,
    *,
    prior: Float[np.ndarray, "functions 3 2"] | None = None,
    balance_prior: tuple[float, float] = (2.0, 2.0),
    kinds: Sequence[int] | None = None,
    tolerance: float = 1e-6,
    max_rounds: int = 5000,
) -> LabelModel:
    """Learn the tables and the balance that are most probable given the votes and the priors.

    ``prior`` has pseudo-counts of votes by class for each function; its default is
    ``agreeing_prior(votes, applies)``. ``balance_prior`` has pseudo-counts of (false, true)
    items. The priors matter where votes are few, and decide which of the two classes is "true".

    Functions with the same number in ``kinds`` share one table, and the first one's prior: the
    captions of a track, for example, whose order means nothing.

    A vote never becomes evidence for its opposite: where the data suggest that, it is ignored. The
    order of the items does not matter. ValueError for votes other than -1, 0 and 1, and for counts
    of 0 or less.
    """
    prior = agreeing_prior(votes, applies) if prior is None else prior
    if min(balance_prior) <= 0 or (prior <= 0).any():
        raise ValueError("imagined counts must be above 0, or a vote could be impossible")
    patterns, weights = _distinct_rows(_table_rows(votes, applies))
    same = _shares_table_matrix(kinds, prior.shape[0])
    one_hot = (patterns[:, :, None] == np.arange(3)).astype(float)
    if kinds is not None:
        prior = prior[[list(kinds).index(kind) for kind in kinds]]
    table = _tables_from_counts(prior)
    balance = balance_prior[1] / sum(balance_prior)
    for rounds in range(1, max_rounds + 1):
        true = _posterior(_log_likelihood(patterns, table), balance)
        classes = np.stack([1 - true, true], axis=1) * weights[:, None]
        new_balance = (classes[:, 1].sum() + balance_prior[1]) / (
            weights.sum() + sum(balance_prior)
        )
        counts = np.einsum("ufv,uc->fvc", one_hot, classes)
        new_table = _tables_from_counts(np.einsum("fg,gvc->fvc", same, counts) + prior)
        change = max(np.abs(new_table - table).max(initial=0), abs(new_balance - balance))
        table, balance = new_table, float(new_balance)
        if change < tolerance:
            return LabelModel(balance, table, rounds)
    return LabelModel(balance, table, max_rounds, converged=False)


def _shares_table_matrix(
    kinds: Sequence[int] | None, n: int
) -> Float[np.ndarray, "functions functions"]:
    """1 where two functions share a table, 0 elsewhere."""
    numbers = np.arange(n) if kinds is None else np.asarray(kinds)
    return (numbers[:, None] == numbers).astype(float)


def agreeing_prior(
    votes: Int[np.ndarray, "items functions"],
    applies: Bool[np.ndarray, "items functions"] | None = None,
    accuracy: float = 0.8,
    strength: float = 10.0,
) -> Float[np.ndarray, "functions 3 2"]:
    """Default prior counts: functions vote as often as in ``votes`` and are mostly right.

    A share ``accuracy`` of these votes is right. ``strength`` is the number of items in each class.
    Functions abstain equally often in both classes.
    """
    patterns = _table_rows(votes, applies)
    voted = ((patterns != 1) & (patterns != NOT_APPLICABLE)).sum(axis=0)
    share = (voted + 1) / ((patterns != NOT_APPLICABLE).sum(axis=0) + 2)  # never 0 or 1
    against, none, favour = share * (1 - accuracy), 1 - share, share * accuracy
    true = np.stack([against, none, favour], axis=1)
    return strength * np.stack([true[:, ::-1], true], axis=2)


def log_posterior(
    model: LabelModel,
    votes: Int[np.ndarray, "items functions"],
    applies: Bool[np.ndarray, "items functions"] | None,
    prior: Float[np.ndarray, "functions 3 2"],
    balance_prior: tuple[float, float],
) -> float:
    """The value that ``fit_label_model`` maximises, up to a constant."""
    likelihood = _log_likelihood(_table_rows(votes, applies), model.table)
    log_balance = np.log([1 - model.balance, model.balance])
    items = np.logaddexp(*(likelihood + log_balance).T).sum()
    return float(items + (prior * np.log(model.table)).sum() + log_balance @ balance_prior)


def _table_rows(
    votes: Int[np.ndarray, "items functions"], applies: Bool[np.ndarray, "items functions"] | None
) -> Int[np.ndarray, "items functions"]:
    """Row of the log table for each vote: 0, 1, 2 for -1, 0, 1; NOT_APPLICABLE for ignored ones."""
    if votes.size and not np.isin(votes, (-1, 0, 1)).all():
        raise ValueError(f"votes are -1, 0 or 1; got {votes.min()}..{votes.max()}")
    return votes + 1 if applies is None else np.where(applies, votes + 1, NOT_APPLICABLE)


def _distinct_rows(
    patterns: Int[np.ndarray, "items functions"],
) -> tuple[Int[np.ndarray, "distinct functions"], Int[np.ndarray, " distinct"]]:
    """Distinct rows in a fixed order, and how often each occurs."""
    if patterns.shape[1] == 0:
        return patterns, np.ones(len(patterns), int)
    rows, counts = np.unique(patterns, axis=0, return_counts=True)
    return rows, counts


def _log_likelihood(
    patterns: Int[np.ndarray, "items functions"], table: Float[np.ndarray, "functions 3 2"]
) -> Float[np.ndarray, "items 2"]:
    """Log P(votes of the item | class), for each item and class."""
    padded = np.log(np.pad(table, ((0, 0), (0, 1), (0, 0)), constant_values=1.0))
    return padded[np.arange(len(table)), patterns].sum(axis=1)


def _posterior(
    likelihood: Float[np.ndarray, "items 2"], balance: float
) -> Float[np.ndarray, " items"]:
    """Probability of the positive class, from log likelihoods and its prior share."""
    log_odds = likelihood[:, 1] - likelihood[:, 0] + np.log(balance) - np.log1p(-balance)
    return np.exp(-np.logaddexp(0, -log_odds))


def _tables_from_counts(
    counts: Float[np.ndarray, "functions 3 2"],
) -> Float[np.ndarray, "functions 3 2"]:
    """Maximum-likelihood tables in which no vote is evidence for its opposite.

    A vote that is more frequent in the wrong class gets the same share in both classes; the other
    votes of each class keep their proportions in the remainder.
    """
    totals = counts.sum(axis=1, keepdims=True)
    common = counts.sum(axis=2) / totals.sum(axis=2)
    table = counts / totals
    favour_wrong, against_wrong = table[:, 2, 1] < table[:, 2, 0], table[:, 0, 0] < table[:, 0, 1]
    for vote, wrong in ((2, favour_wrong), (0, against_wrong)):
        pooled = table * ((1 - common[:, vote, None]) / (1 - table[:, vote]))[:, None]
        pooled[:, vote] = common[:, vote, None]
        table = np.where(wrong[:, None, None], pooled, table)
    still = (table[:, 2, 1] < table[:, 2, 0]) | (table[:, 0, 0] < table[:, 0, 1])
    ignored = still | (favour_wrong & against_wrong)
    return np.where(ignored[:, None, None], common[:, :, None], table)
