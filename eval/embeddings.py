"""What an embedder is, and the ones there are: ``--embedder NAME [--weights DIR]``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from dmm.errors import InputError


@runtime_checkable
class Embedder(Protocol):
    """Turns audio files into vectors whose cosines mean something; says what it is."""

    @property
    def name(self) -> str:
        """The key in ``EMBEDDERS``; printed beside every score."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same file would give another vector (weights, window, code)."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def protocol(self) -> str:
        """How a file is prepared: rate, channels, windows."""
        ...

    def embed(self, audio_files: Sequence[Path]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; DmmError if a file cannot be read."""
        ...


def _mel_stats(weights: Path | None) -> Embedder:
    from .spectral import MelStats

    if weights is not None:
        raise InputError(f"{weights}: mel-stats has no weights; leave out --weights")
    return MelStats()


def _clap(weights: Path | None) -> Embedder:
    from .clap import load_clap

    if weights is None:
        raise InputError("the clap embedder needs a checkpoint folder; name it with --weights DIR")
    return load_clap(weights)


def _nano_clap(weights: Path | None) -> Embedder:
    from .nano_clap import load_nano_clap

    return load_nano_clap(weights)


EMBEDDERS: dict[str, Callable[[Path | None], Embedder]] = {
    "mel-stats": _mel_stats,
    "nano-clap": _nano_clap,
    "clap": _clap,
}
"""Name to loader; a loader takes the folder of weights, or None."""


def load_embedder(name: str, weights: Path | None = None) -> Embedder:
    """The named embedder; InputError lists the known names if there is none."""
    if name not in EMBEDDERS:
        raise InputError(f"no embedder {name!r}; known: {', '.join(sorted(EMBEDDERS))}")
    return EMBEDDERS[name](weights)
