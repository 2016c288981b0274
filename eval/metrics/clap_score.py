"""CLAP score: how well clips fit their own prompts, beside how well they fit other ones.

The cosine of sound and text alone has no scale: it differs between checkpoints, and clips that
ignore their prompts reach much of it. What counts is the gap to shuffled pairs.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..intervals import prompt_bootstrap

PERMUTATIONS = 9999


@dataclass(frozen=True)
class ClapScore:
    """Cosines of sound and text, -1..1; None where other prompts are needed and there are none."""

    mean: float
    """Of each clip and its own prompt."""
    sd: float | None
    """Over clips; None for one clip."""
    shuffled_mean: float | None
    """Of each clip and all other prompts: what clips reach that ignore what was asked."""
    gap: float | None
    """``mean - shuffled_mean``: what following the prompt adds."""
    recall_at_1: float | None
    """Share of clips whose own prompt fits best of all; ``1 / n_prompts`` by chance."""
    p: float | None
    """Share of the ways to hand the prompts to each other's clips with as high a mean, 0..1."""
    low: float | None
    """95 % interval of the mean over prompts; None below five prompts."""
    high: float | None
    n: int
    n_prompts: int
    """Different prompts."""


def clap_score(
    audio: Float[np.ndarray, "n dim"],
    text: Float[np.ndarray, "n dim"],
    prompts: Sequence[Hashable],
    seed: int = 0,
) -> ClapScore:
    """Score unit rows of sound against unit rows of text; ``text[i]`` is that of ``prompts[i]``.

    Higher is better in ``mean``, ``gap`` and ``recall_at_1``. p exchanges whole prompts, because
    clips of one prompt are alike. Raises ValueError if equal prompts come with different rows.
    """
    if len(audio) < 1:
        raise ValueError("a CLAP score needs 1 or more clips; got 0")
    asked, first = _distinct(prompts)
    if not np.allclose(text, text[first][asked], atol=1e-5):
        raise ValueError("two clips of one prompt came with different rows of text")
    cosines = audio.astype(np.float64) @ text[first].astype(np.float64).T  # (n, prompts)
    own = cosines[np.arange(len(audio)), asked]
    low, high = prompt_bootstrap(own, prompts, seed) or (None, None)
    shuffled = recall = p = None
    if len(first) > 1:
        shuffled = float((cosines.sum(1) - own).mean() / (len(first) - 1))
        recall = _recall_at_1(cosines, own)
        p = _permutation_p(cosines, asked, seed)
    return ClapScore(
        mean=float(own.mean()),
        sd=float(own.std(ddof=1)) if len(own) > 1 else None,
        shuffled_mean=shuffled,
        gap=None if shuffled is None else float(own.mean()) - shuffled,
        recall_at_1=recall,
        p=p,
        low=low,
        high=high,
        n=len(audio),
        n_prompts=len(first),
    )


def _distinct(prompts: Sequence[Hashable]) -> tuple[Int[np.ndarray, " n"], list[int]]:
    """Each clip's prompt as a number, and the row where each prompt first appears."""
    numbers: dict[Hashable, int] = {}
    first: list[int] = []
    for row, prompt in enumerate(prompts):
        if prompt not in numbers:
            numbers[prompt] = len(numbers)
            first.append(row)
    return np.array([numbers[prompt] for prompt in prompts]), first


def _recall_at_1(cosines: Float[np.ndarray, "n prompts"], own: Float[np.ndarray, " n"]) -> float:
    """A prompt that ties with k - 1 others for the best place counts as 1/k."""
    best = cosines >= cosines.max(1, keepdims=True)
    return float(((own >= cosines.max(1)) / best.sum(1)).mean())


def _permutation_p(
    cosines: Float[np.ndarray, "n prompts"], asked: Int[np.ndarray, " n"], seed: int
) -> float:
    count = cosines.shape[1]
    by_prompt = np.zeros((count, count))  # cosines of all clips of a prompt to each text, summed
    np.add.at(by_prompt, asked, cosines)
    given = np.tile(np.arange(count), (PERMUTATIONS + 1, 1))
    given[1:] = np.random.default_rng(seed).permuted(given[1:], axis=1)  # row 0: as they are
    sums = by_prompt[np.arange(count), given].sum(1)
    # What is equal but for the order of summation counts as equal.
    return float((sums >= sums[0] - 1e-9).mean())
