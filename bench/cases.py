"""The prompts of the bench, each with real pieces that are exactly what it asks for.

Pieces nobody was trained on are composed and gathered by what ``prompt`` says of them; a prompt
can enter the bench when enough pieces answer it. Half of those stand in the model's place as real
clips, the others are the reference that both are held against.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from dataset_tools.sources.minimidi import (
    BASE_STYLES,
    HELD_OUT_STYLES,
    Piece,
    Prompt,
    compose,
    prompt,
)
from dmm.errors import InputError
from dmm.progress import progress_bar

FIRST_SEED = 7_000_000
"""Pieces from here on trained neither a generator nor a judge."""
POOL, LEAST_POOL = 10, 1000
"""Pieces composed for each that is needed, so that rarer prompts find enough answers too; and in
all at least."""


@dataclass(frozen=True)
class Case:
    """A prompt, as many real pieces as the model makes clips of it, and as many more to compare."""

    prompt: Prompt
    real: tuple[Piece, ...]
    reference: tuple[Piece, ...]


def cases(prompts: int, seeds: int, style: str | None = None, unseen: bool = False) -> list[Case]:
    """At most ``prompts`` prompts with twice ``seeds`` pieces each; equal for equal arguments.

    ``style`` None means the base styles; ``unseen`` the instrument pairs kept out of training,
    both of which the prompt then names. A style that knows few prompts gives fewer. InputError
    if it gives none, or is unknown.
    """
    known = (*BASE_STYLES, *HELD_OUT_STYLES)
    if style is not None and style not in known:
        raise InputError(f"no style {style!r}; known: {', '.join(known)}")
    found: dict[Prompt, list[Piece]] = defaultdict(list)
    size = max(LEAST_POOL, 2 * prompts * seeds * POOL)
    pool = range(FIRST_SEED, FIRST_SEED + size)
    with progress_bar("compose", len(pool)) as advance:
        for seed in pool:
            piece = compose(seed, style, unseen=unseen)
            asked = prompt(piece)
            if not unseen or len(asked.instruments) == 2:
                found[asked].append(piece)
            advance()
    able = [asked for asked, pieces in found.items() if len(pieces) >= 2 * seeds]
    if not able:
        raise InputError(
            f"{len(pool)} pieces answer no prompt {2 * seeds} times; ask for more prompts "
            "(a larger pool is composed) or for fewer seeds"
        )
    order = np.random.default_rng(0).permutation(len(able))[:prompts]
    return [_case(able[i], found[able[i]], seeds) for i in sorted(order)]


def _case(asked: Prompt, pieces: list[Piece], seeds: int) -> Case:
    return Case(asked, tuple(pieces[:seeds]), tuple(pieces[seeds : 2 * seeds]))
