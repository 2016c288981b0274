"""Best of N: keep the clips that match their prompt best, but none too similar to a better one.

The best scores alone would often be near-copies of one clip. So each kept clip has a minimum
distance from the others: a share of the mean distance between all candidates, which needs no
constant that fits only one embedder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..embedders import TextEmbedder
from ..registry import load_text_embedder


@dataclass(frozen=True)
class Selection:
    """The clips that are kept of one prompt's candidates, by index."""

    kept: tuple[int, ...]
    """Best first."""
    scores: tuple[float, ...]
    """Cosine between audio and prompt of every candidate."""
    least_distance: float
    """Minimum cosine distance between kept clips."""
    filled: tuple[int, ...] = ()
    """Kept although too near: no other candidate was farther from the clips kept before."""


@dataclass(frozen=True)
class Ranking:
    """Choice of the best clips of each prompt; its embedder is loaded at first use."""

    embedder_name: str
    keep: int
    """Clips of each prompt to keep."""
    floor: float = 0.5
    """Minimum distance between kept clips, as a share of the mean between all candidates."""
    weights: Path | None = None
    """Folder of the embedder's weights, if it needs one."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Ranking, (self.embedder_name, self.keep, self.floor, self.weights)

    @cached_property
    def embedder(self) -> TextEmbedder:
        """The embedder; InputError if it is unknown, reads no text or lacks its weights."""
        return load_text_embedder(self.embedder_name, self.weights)

    def unknown_prompts(self, prompts: Sequence[str]) -> list[str]:
        """The prompts of which the embedder knows no word: their embedding is an empty text's."""
        empty, *rows = self.embedder.embed_text(["", *prompts])
        pairs = zip(prompts, rows, strict=True)
        return [prompt for prompt, row in pairs if np.allclose(row, empty, atol=1e-6)]

    def as_json(self) -> dict[str, Any]:
        """The ranking's part of a clip's JSON file."""
        embedder = f"{self.embedder.name} {self.embedder.version}"
        return {"embedder": embedder, "keep": self.keep, "floor": self.floor}

    def select(self, prompt: str, sounds: Sequence[np.ndarray], sr: int) -> Selection:
        """Select among waveforms, (channels, samples) each and of equal length."""
        embedded = self.embedder.embed_sounds(np.stack([sound.mean(0) for sound in sounds]), sr)
        asked = self.embedder.embed_text([prompt])
        return select(embedded @ asked[0], embedded, self.keep, self.floor)


def select(
    scores: Float[np.ndarray, " n"], rows: Float[np.ndarray, "n dim"], keep: int, floor: float
) -> Selection:
    """Select the best scores first, each at least the minimum distance from those before it.

    If no candidate is far enough, the farthest is taken, so ``keep`` clips or all are kept. Rows
    have unit length; among equal scores the first wins.
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
    return Selection(tuple(kept), rounded, round(least, 4), tuple(filled))
