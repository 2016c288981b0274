"""Probabilities from votes that disagree, are partly silent and of unknown accuracy.

Each item is true or false, and labelling functions vote 1 (true), -1 (false) or 0 (abstain). Given
the class the functions are taken to vote independently of one another, each by its own table
P(vote | class); the tables and the share of true items are learnt from the votes alone by
expectation maximisation (Dawid & Skene 1979, Applied Statistics 28(1); as "data programming" in
Ratner et al. 2016, https://arxiv.org/abs/1605.07723).

To abstain is a vote like the others: a tag for voice that is missing is weak evidence against a
voice. Where a function had nothing to look at, a track without any tags, ``seen`` is False and it
counts for nothing.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

UNSEEN = 3
"""Row of the padded log table for a function that had nothing to look at."""


@dataclass(frozen=True)
class LabelModel:
    """Share of true items and the functions' tables, as learnt."""

    balance: float
    """P(item is true), which is also the probability of an item that no function looked at."""
    table: Float[np.ndarray, "functions 3 2"]
    """P(vote | class): votes -1, 0, 1; classes false, true."""
    rounds: int = 0
    converged: bool = True
    """Whether the last round changed next to nothing; each round is better than the one before."""

    def probabilities(
        self,
        votes: Int[np.ndarray, "items functions"],
        seen: Bool[np.ndarray, "items functions"] | None = None,
    ) -> Float[np.ndarray, " items"]:
        """P(true) of every item; functions that had nothing to look at are False in ``seen``."""
        likelihood = _log_likelihood(_patterns(votes, seen), self.table)
        return _posterior(likelihood, self.balance)


def fit_label_model(
    votes: Int[np.ndarray, "items functions"],
    seen: Bool[np.ndarray, "items functions"] | None = None,
    *,
    prior: Float[np.ndarray, "functions 3 2"] | None = None,
    balance_prior: tuple[float, float] = (2.0, 2.0),
    tolerance: float = 1e-6,
    max_rounds: int = 5000,
) -> LabelModel:
    """Learn the tables and the balance: the most probable ones given the votes and the priors.

    ``prior`` counts imagined items, vote by class, that every function has already voted on; its
    default is ``agreeing_prior(votes, seen)``. ``balance_prior`` counts imagined (false, true)
    items. The priors settle what few votes leave open, and which of the two classes is "true".

    A vote never comes to mean its opposite: where the data would have it so, it counts for
    nothing. Equal votes give equal results whatever the order of the items.
    """
    prior = agreeing_prior(votes, seen) if prior is None else prior
    if min(balance_prior) <= 0 or (prior <= 0).any():
        raise ValueError("imagined counts must be above 0, or a vote could be impossible")
    patterns, weights = _distinct(_patterns(votes, seen))
    one_hot = (patterns[:, :, None] == np.arange(3)).astype(float)
    table = _shares(prior)
    balance = balance_prior[1] / sum(balance_prior)
    for rounds in range(1, max_rounds + 1):
        true = _posterior(_log_likelihood(patterns, table), balance)
        classes = np.stack([1 - true, true], axis=1) * weights[:, None]
        new_balance = (classes[:, 1].sum() + balance_prior[1]) / (
            weights.sum() + sum(balance_prior)
        )
        new_table = _shares(np.einsum("ufv,uc->fvc", one_hot, classes) + prior)
        change = max(np.abs(new_table - table).max(initial=0), abs(new_balance - balance))
        table, balance = new_table, float(new_balance)
        if change < tolerance:
            return LabelModel(balance, table, rounds)
    return LabelModel(balance, table, max_rounds, converged=False)


def agreeing_prior(
    votes: Int[np.ndarray, "items functions"],
    seen: Bool[np.ndarray, "items functions"] | None = None,
    accuracy: float = 0.8,
    strength: float = 10.0,
) -> Float[np.ndarray, "functions 3 2"]:
    """Imagined items: functions vote as often as here, and right ``accuracy`` of the time.

    ``strength`` is their number in each class. A function is taken to abstain equally often in
    both classes until the data say otherwise.
    """
    patterns = _patterns(votes, seen)
    spoken = ((patterns != 1) & (patterns != UNSEEN)).sum(axis=0)
    share = (spoken + 1) / ((patterns != UNSEEN).sum(axis=0) + 2)  # never quite 0 or 1
    against, none, favour = share * (1 - accuracy), 1 - share, share * accuracy
    true = np.stack([against, none, favour], axis=1)
    return strength * np.stack([true[:, ::-1], true], axis=2)


def log_posterior(
    model: LabelModel,
    votes: Int[np.ndarray, "items functions"],
    seen: Bool[np.ndarray, "items functions"] | None,
    prior: Float[np.ndarray, "functions 3 2"],
    balance_prior: tuple[float, float],
) -> float:
    """What ``fit_label_model`` makes as large as it can, up to a constant."""
    likelihood = _log_likelihood(_patterns(votes, seen), model.table)
    log_balance = np.log([1 - model.balance, model.balance])
    items = np.logaddexp(*(likelihood + log_balance).T).sum()
    return float(items + (prior * np.log(model.table)).sum() + log_balance @ balance_prior)


def _patterns(
    votes: Int[np.ndarray, "items functions"], seen: Bool[np.ndarray, "items functions"] | None
) -> Int[np.ndarray, "items functions"]:
    """Votes as rows of a table: 0, 1, 2 for -1, 0, 1, and UNSEEN."""
    if votes.size and not np.isin(votes, (-1, 0, 1)).all():
        raise ValueError(f"votes are -1, 0 or 1; got {votes.min()}..{votes.max()}")
    return votes + 1 if seen is None else np.where(seen, votes + 1, UNSEEN)


def _distinct(
    patterns: Int[np.ndarray, "items functions"],
) -> tuple[Int[np.ndarray, "distinct functions"], Int[np.ndarray, " distinct"]]:
    """The rows that differ, in a fixed order, and how often each occurs."""
    if patterns.shape[1] == 0:
        return patterns, np.ones(len(patterns), int)
    codes = np.ravel_multi_index(tuple(patterns.T), (UNSEEN + 1,) * patterns.shape[1])
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    return patterns[first], counts


def _log_likelihood(
    patterns: Int[np.ndarray, "items functions"], table: Float[np.ndarray, "functions 3 2"]
) -> Float[np.ndarray, "items 2"]:
    """Log P(votes of the item | class)."""
    padded = np.log(np.pad(table, ((0, 0), (0, 1), (0, 0)), constant_values=1.0))
    return padded[np.arange(len(table)), patterns].sum(axis=1)


def _posterior(
    likelihood: Float[np.ndarray, "items 2"], balance: float
) -> Float[np.ndarray, " items"]:
    log_odds = likelihood[:, 1] - likelihood[:, 0] + np.log(balance) - np.log1p(-balance)
    return np.exp(-np.logaddexp(0, -log_odds))


def _shares(counts: Float[np.ndarray, "functions 3 2"]) -> Float[np.ndarray, "functions 3 2"]:
    """Turn counts into the likeliest tables in which no vote speaks for its opposite.

    A vote that is commoner in the wrong class gets one share for both classes, and the other
    votes of each class keep their proportions in what is left: the maximum under that constraint.
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
    silenced = still | (favour_wrong & against_wrong)
    return np.where(silenced[:, None, None], common[:, :, None], table)
