"""Prompts of ``dmm bench minimidi``, each with two sets of MiniMIDI pieces: real and reference.

Pieces with unused seeds are composed and grouped by the prompt that describes them. A prompt is
used if enough pieces match: the first ``seeds`` of them are the real clips, the next ``seeds`` the
reference; further matches are not used.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from dataset_tools.sources.minimidi import Piece, Prompt, compose, prompt
from dataset_tools.sources.minimidi.styles import require_style
from dmm.errors import InputError
from dmm.progress import progress_bar

FIRST_SEED = 7_000_000
"""Pieces with this seed or a later one trained neither a generator nor a judge."""
POOL, LEAST_POOL = 10, 1000
"""Pieces composed per piece that is needed, so that rare prompts find enough matches too, and the
smallest number composed in all."""


@dataclass(frozen=True)
class BenchCase:
    """A prompt with two sets of matching pieces, each as large as the number of generated clips."""

    prompt: Prompt
    real: tuple[Piece, ...]
    reference: tuple[Piece, ...]


def make_cases(
    prompts: int, seeds: int, style: str | None = None, unseen: bool = False
) -> list[BenchCase]:
    """At most ``prompts`` prompts with twice ``seeds`` pieces each; equal for equal arguments.

    ``style`` None means the base styles. ``unseen`` takes instrument pairs kept out of training,
    and prompts that name both instruments. A style with few prompts gives fewer cases. InputError
    if there are none, if the style is unknown, or if it has no such pair.
    """
    if style is not None:
        require_style(style, unseen)
    made_cases: dict[Prompt, list[Piece]] = defaultdict(list)
    size = max(LEAST_POOL, 2 * prompts * seeds * POOL)
    pool = range(FIRST_SEED, FIRST_SEED + size)
    with progress_bar("compose", len(pool)) as advance:
        for seed in pool:
            piece = compose(seed, style, unseen=unseen)
            request = prompt(piece)
            if not unseen or len(request.instruments) == 2:
                made_cases[request].append(piece)
            advance()
    usable = [request for request, pieces in made_cases.items() if len(pieces) >= 2 * seeds]
    if not usable:
        raise InputError(
            f"no prompt has {2 * seeds} matches among {len(pool)} pieces; ask for more prompts "
            "(a larger pool is composed) or for fewer seeds"
        )
    order = np.random.default_rng(0).permutation(len(usable))[:prompts]
    return [_case_of_pieces(usable[i], made_cases[usable[i]], seeds) for i in sorted(order)]


def _case_of_pieces(request: Prompt, pieces: list[Piece], seeds: int) -> BenchCase:
    return BenchCase(request, tuple(pieces[:seeds]), tuple(pieces[seeds : 2 * seeds]))
