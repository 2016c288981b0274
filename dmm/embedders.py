"""What an embedder is, and the ones there are: ``--embedder NAME [--weights DIR]``.

They are named as strings and imported when asked for, so that building datasets may use one.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from .errors import InputError


@runtime_checkable
class Embedder(Protocol):
    """Turns sound into vectors whose cosines mean something; says what it is."""

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


@runtime_checkable
class TextEmbedder(Embedder, Protocol):
    """An embedder that puts words into the same space, and takes sound from memory too."""

    @property
    def logit_scale(self) -> float:
        """What cosines of sound and words are multiplied by before a softmax over words."""
        ...

    def embed_sounds(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32, of mono sounds at ``sr`` Hz."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; ModelError if the weights came without what reads words."""
        ...


EMBEDDERS = {
    "mel-stats": "eval.spectral:load_mel_stats",
    "nano-clap": "eval.nano_clap:load_nano_clap",
    "clap": "eval.clap:load_clap",
}
"""Name to loader; a loader takes the folder of weights, or None."""


def load_embedder(name: str, weights: Path | None = None) -> Embedder:
    """The named embedder; InputError lists the known names if there is none."""
    if name not in EMBEDDERS:
        raise InputError(f"no embedder {name!r}; known: {', '.join(sorted(EMBEDDERS))}")
    module, attribute = EMBEDDERS[name].split(":")
    load: Callable[[Path | None], Embedder] = getattr(import_module(module), attribute)
    return load(weights)


def load_text_embedder(name: str, weights: Path | None = None) -> TextEmbedder:
    """The named embedder of sound and words; InputError if it knows no words."""
    embedder = load_embedder(name, weights)
    if not isinstance(embedder, TextEmbedder):
        raise InputError(f"embedder {name!r} hears but does not read; use nano-clap or clap")
    return embedder
