"""CLAP score: similarity of clips and their own prompts, compared with that of other prompts.

The cosine of audio and text alone has no absolute scale: it differs between checkpoints, and clips
that ignore their prompts reach much of it. The gap to shuffled pairs is the measure of adherence.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..intervals import prompt_bootstrap

PERMUTATIONS = 9999
"""Random permutations of the prompts for ``p``."""


@dataclass(frozen=True)
class ClapScore:
    """Cosines of audio and text, -1..1; values that need two or more prompts are None for one."""

    mean: float
    """Mean cosine of each clip and its own prompt."""
    sd: float | None
    """Standard deviation over clips; None for one clip."""
    shuffled_mean: float | None
    """Mean cosine of each clip and all other prompts."""
    gap: float | None
    """``mean - shuffled_mean``; 0 if clips ignore their prompts."""
    recall_at_1: float | None
    """Share of clips whose own prompt is the most similar; ``1 / n_prompts`` by chance."""
    p: float | None
    """Share of permutations of the prompts with a mean at least as high, 0..1."""
    low: float | None
    """95 % interval of the mean over prompts; None below five prompts."""
    high: float | None
    n: int
    n_prompts: int
    """Number of distinct prompts."""


def clap_score(
    audio: Float[np.ndarray, "n dim"],
    text: Float[np.ndarray, "n dim"],
    prompts: Sequence[Hashable],
    seed: int = 0,
) -> ClapScore:
    """Score unit rows of audio with unit rows of text; ``text[i]`` belongs to ``prompts[i]``.

    Higher is better for ``mean``, ``gap`` and ``recall_at_1``. ``p`` permutes whole prompts,
    because clips of one prompt are alike. Raises ValueError without clips, or if equal prompts
    have different rows.
    """
    if len(audio) < 1:
        raise ValueError("a CLAP score needs 1 or more clips; got 0")
    index, first = _number_prompts(prompts)
    if not np.allclose(text, text[first][index], atol=1e-5):
        raise ValueError("two clips of one prompt have different rows of text")
    cosines = audio.astype(np.float64) @ text[first].astype(np.float64).T  # (n, prompts)
    own_cosines = cosines[np.arange(len(audio)), index]
    low, high = prompt_bootstrap(own_cosines, prompts, seed) or (None, None)
    shuffled = recall = p = None
    if len(first) > 1:
        shuffled = float((cosines.sum(1) - own_cosines).mean() / (len(first) - 1))
        recall = _recall_at_1(cosines, own_cosines)
        p = _permutation_p(cosines, index, seed)
    return ClapScore(
        mean=float(own_cosines.mean()),
        sd=float(own_cosines.std(ddof=1)) if len(own_cosines) > 1 else None,
        shuffled_mean=shuffled,
        gap=None if shuffled is None else float(own_cosines.mean()) - shuffled,
        recall_at_1=recall,
        p=p,
        low=low,
        high=high,
        n=len(audio),
        n_prompts=len(first),
    )


def _number_prompts(prompts: Sequence[Hashable]) -> tuple[Int[np.ndarray, " n"], list[int]]:
    """Index of each clip's prompt, and the first row of each prompt."""
    numbers: dict[Hashable, int] = {}
    first: list[int] = []
    for row, prompt in enumerate(prompts):
        if prompt not in numbers:
            numbers[prompt] = len(numbers)
            first.append(row)
    return np.array([numbers[prompt] for prompt in prompts]), first


def _recall_at_1(
    cosines: Float[np.ndarray, "n prompts"], own_cosines: Float[np.ndarray, " n"]
) -> float:
    """Share of clips with the own prompt on top; a tie of k prompts counts as 1/k."""
    best = cosines >= cosines.max(1, keepdims=True)
    return float(((own_cosines >= cosines.max(1)) / best.sum(1)).mean())


def _permutation_p(
    cosines: Float[np.ndarray, "n prompts"], index: Int[np.ndarray, " n"], seed: int
) -> float:
    count = cosines.shape[1]
    by_prompt = np.zeros((count, count))  # summed cosines of the clips of a prompt to each text
    np.add.at(by_prompt, index, cosines)
    order = np.tile(np.arange(count), (PERMUTATIONS + 1, 1))
    order[1:] = np.random.default_rng(seed).permuted(order[1:], axis=1)  # row 0: unchanged
    sums = by_prompt[np.arange(count), order].sum(1)
    # Sums that differ by rounding alone count as equal.
    return float((sums >= sums[0] - 1e-9).mean())
