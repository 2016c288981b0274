"""Best of N: keep the clips that answer a prompt best, but none too like one that is kept.

Taking the best scores alone would keep near-copies of one clip (an embedder likes one sound best).
So a clip must be some distance from every one that is kept before: a share of the mean distance
between all that were drawn, which needs no number that fits one embedder only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..embedders import TextEmbedder
from ..registry import load_text_embedder


@dataclass(frozen=True)
class Ranking:
    """How clips of one prompt are chosen from."""

    embedder: str
    keep: int
    """Clips of each prompt to keep."""
    floor: float = 0.5
    """Least distance between those kept, as a share of the mean between all that were drawn."""
    weights: Path | None = None
    """Folder with the embedder's weights, where it needs one."""


@dataclass(frozen=True)
class Choice:
    """Which of some clips are kept."""

    kept: tuple[int, ...]
    """Best first."""
    scores: tuple[float, ...]
    """Cosine of sound and words, of each."""
    floor: float
    """Cosine distance that lies between those kept."""
    filled: tuple[int, ...] = ()
    """Kept though nearer, for want of others: the farthest there were."""


class Ranker:
    """An embedder that was loaded to choose clips by."""

    def __init__(self, ranking: Ranking) -> None:
        """InputError for an embedder that is unknown, knows no words or lacks its weights."""
        self.ranking = ranking
        self.embedder: TextEmbedder = load_text_embedder(ranking.embedder, ranking.weights)

    @property
    def settings(self) -> dict[str, Any]:
        """What a clip's settings say of it; fit for JSON."""
        own = self.ranking
        embedder = f"{self.embedder.name} {self.embedder.version}"
        return {"embedder": embedder, "keep": own.keep, "floor": own.floor}

    def choose(self, prompt: str, sounds: Sequence[np.ndarray], sr: int) -> Choice:
        """Choose among sounds, (channels, samples) each and of one length."""
        heard = self.embedder.embed_sounds(np.stack([sound.mean(0) for sound in sounds]), sr)
        asked = self.embedder.embed_text([prompt])
        return choose(heard @ asked[0], heard, self.ranking.keep, self.ranking.floor)


def choose(
    scores: Float[np.ndarray, " n"], rows: Float[np.ndarray, "n dim"], keep: int, floor: float
) -> Choice:
    """The best scores first, each at least the floor away from those before it.

    Where no clip is so far from them, the one that is farthest comes next, so that ``keep`` clips
    are kept if there are as many. Rows have unit length; of equal scores the first wins.
    """
    distance = 1 - rows @ rows.T
    n = len(scores)
    mean = distance[~np.eye(n, dtype=bool)].mean() if n > 1 else 0.0
    least = max(float(mean) * floor, 0.0)
    kept: list[int] = []
    filled: list[int] = []
    while len(kept) < min(keep, n):
        left = [i for i in range(n) if i not in kept]
        nearest = {i: float(min(distance[i, kept], default=np.inf)) for i in left}
        far = [i for i in left if nearest[i] >= least]
        if far:
            kept.append(max(far, key=lambda i: scores[i]))
        else:
            kept.append(max(left, key=lambda i: nearest[i]))
            filled.append(kept[-1])
    rounded = tuple(round(float(score), 4) for score in scores)
    return Choice(tuple(kept), rounded, round(least, 4), tuple(filled))
