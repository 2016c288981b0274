"""Whether an embedder knows this kind of music: how far real clips are from its training clips.

Only nano-clap, which knows MiniMIDI alone, has a file of training clips; ``bench.listener.domain``
makes it. In its space the median distance to the nearest of 300 training clips is .12 for new
MiniMIDI pieces in base styles, .02 for those in held-out styles, and .23 to .29 for the music of
five games.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.embedders import Embedder
from dmm.engine import ROOT

from .clips import embed_files

DOMAIN = ROOT / "models" / "nano-clap" / "domain.safetensors"
WEIGHTS_KEY = "weights_sha256"
"""Metadata key: the weights that the rows were embedded by."""
LIMIT = 0.19
"""Median distance above which clips are of another kind of music."""
MAX_CLIPS = 32
"""Largest number of clips compared: their median hardly changes with more."""


@dataclass(frozen=True)
class DomainFit:
    """Distance of clips to an embedder's training clips."""

    distance: float
    """Median cosine distance to the nearest training clip."""

    @property
    def is_known(self) -> bool:
        """Whether the clips are of the kind that the embedder was trained on."""
        return self.distance <= LIMIT


def measure_domain_fit(embedder: Embedder, rows: Float[np.ndarray, "n dim"]) -> DomainFit | None:
    """Compare clips with the embedder's training clips; None if those are unknown."""
    known = _training_rows_by_weights().get(embedder.identity.weights_sha256 or "")
    if known is None:
        return None
    return DomainFit(float(np.median(1 - (rows.astype(np.float64) @ known.T).max(1))))


def domain_fit_of_files(embedder: Embedder, files: Sequence[Path]) -> DomainFit | None:
    """``measure_domain_fit`` for audio files, at most ``MAX_CLIPS`` of them, evenly spaced."""
    places = np.linspace(0, len(files) - 1, min(len(files), MAX_CLIPS)).astype(int)
    return measure_domain_fit(embedder, embed_files([files[i] for i in places], embedder, 1).rows)


@cache
def _training_rows_by_weights() -> dict[str, np.ndarray]:
    """Embeddings of the training clips, by the hash of their embedder's weights."""
    from safetensors import safe_open

    with safe_open(DOMAIN, framework="numpy") as file:
        return {file.metadata()[WEIGHTS_KEY]: file.get_tensor("rows").astype(np.float64)}
