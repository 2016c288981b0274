"""Purity and recall of the tracks that each labelling function, and the gate, would keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np
from jaxtyping import Bool, Float

from .gate import LOW


@dataclass(frozen=True)
class PurityRow:
    """Result of one rule for keeping tracks; shares in 0..1, NaN where nothing is kept or known."""

    name: str
    """Labelling function, or "gate" for all of them together."""
    coverage: float
    """Share of the tracks on which it does not abstain."""
    kept: float
    """Share of the tracks that it keeps as instrumental."""
    purity: float
    """Share of the kept tracks that are instrumental."""
    recall: float
    """Share of the instrumental tracks that are kept."""


def purity_and_recall(
    votes: Sequence[Mapping[str, int]],
    probabilities: Sequence[float],
    truth: Sequence[bool | None] | None = None,
    *,
    low: float = LOW,
) -> list[PurityRow]:
    """Evaluate every labelling function alone, and the gate in the last row.

    A function that votes against voices keeps the tracks it votes on. A function that only votes
    for voices keeps the tracks it applies to and does not vote on. The gate keeps tracks with a
    probability of at most ``low``.

    ``truth`` is whether each track has a voice; tracks with None (unknown) are not counted. Without
    ``truth`` the gate's probabilities are used instead: every figure is then only as good as the
    label model.
    """
    if truth is not None:
        known = [i for i, voice in enumerate(truth) if voice is not None]
        voice = np.array([bool(truth[i]) for i in known], float)
    else:
        known, voice = list(range(len(votes))), np.array(probabilities, float)
    votes = [votes[i] for i in known]
    names = dict.fromkeys(name for track in votes for name in track)
    rows = [_purity_row(name, *_voted_and_kept(name, votes), voice) for name in names]
    fused = np.array([probabilities[i] <= low for i in known], bool)
    voted = np.array([any(track.values()) for track in votes], bool)
    return [*rows, _purity_row("gate", voted, fused, voice)]


def purity_table_markdown(rows: Sequence[PurityRow]) -> str:
    """Format the rows as a Markdown table, in per cent."""
    lines = ["| evidence | votes on | keeps | purity | recall |", "|---|---|---|---|---|"]
    for row in rows:
        shares = (row.coverage, row.kept, row.purity, row.recall)
        cells = ("–" if np.isnan(x) else f"{100 * x:.1f} %" for x in shares)
        lines.append(f"| {row.name.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _voted_and_kept(
    name: str, votes: Sequence[Mapping[str, int]]
) -> tuple[Bool[np.ndarray, " tracks"], Bool[np.ndarray, " tracks"]]:
    """Tracks that the function votes on, and those it keeps.

    It keeps tracks with a vote of -1. If it only ever votes 1, it keeps those with a vote of 0.
    """
    cast = np.array([track.get(name, 0) for track in votes], int)
    looked = np.array([name in track for track in votes], bool)
    kept = cast < 0 if (cast < 0).any() or not (cast > 0).any() else looked & (cast == 0)
    return cast != 0, kept


def _purity_row(
    name: str,
    voted: Bool[np.ndarray, " tracks"],
    kept: Bool[np.ndarray, " tracks"],
    voice: Float[np.ndarray, " tracks"],
) -> PurityRow:
    """Coverage, purity and recall of one function, from the tracks it votes on and keeps."""
    none = 1 - voice
    return PurityRow(
        name,
        coverage=_ratio_or_nan(voted.sum(), len(voice)),
        kept=_ratio_or_nan(kept.sum(), len(voice)),
        purity=_ratio_or_nan(none[kept].sum(), kept.sum()),
        recall=_ratio_or_nan(none[kept].sum(), none.sum()),
    )


def _ratio_or_nan(part: SupportsFloat, total: SupportsFloat) -> float:
    return float(part) / float(total) if float(total) else float("nan")
