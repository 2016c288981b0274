"""``nano-clap``: the embedder that needs no download, by the listener that the project ships.

Sound and captions in one space, as CLAP has, but learnt from MiniMIDI alone: it knows that
generator's instruments, styles, tempos and moods, and no other music. Its scores are comparable
only with its own, never with CLAP's.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dmm.embedders import EmbedderConfig, Identity, backend

from ..listening.hearing import SR, read_mono
from ..sound import resample

if TYPE_CHECKING:
    from ..listening.listener import Listener


CODE = 1
"""Raised when this package gives another vector for the same clip and weights."""


class NanoClap:
    """A loaded listener as an embedder of sound and of words."""

    name = "nano-clap"
    protocol = "22.05 kHz mono, looped to 5.12 s; longer sound: mean of 5.12 s windows"
    dim = 128

    def __init__(self, listener: "Listener", sha256: str):
        self.listener = listener
        self.identity = Identity(self.name, sha256, backend("torch"), "loop", "fp32", CODE)
        self.version = self.identity.version
        self.logit_scale = float(listener.log_scale.exp())

    def embed(self, audio_files: Sequence[Path]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; InputError names the first file that cannot be read."""
        return self._embed(read_mono(audio_files))

    def embed_sounds(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32, of mono sounds at ``sr`` Hz."""
        return self._embed(resample(sounds.astype(np.float32, copy=False), sr, SR))

    def embed_text(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; words that no MiniMIDI caption uses are left out."""
        import torch

        with torch.inference_mode():
            return self.listener.read(self.listener.tokenize(texts)).numpy()

    def _embed(self, sounds: Iterable[Float[np.ndarray, "_"]]) -> Float[np.ndarray, "n dim"]:
        rows = self.listener.listen(sounds).embedding.numpy()
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def load_nano_clap(weights: Path | None = None, config: EmbedderConfig | None = None) -> NanoClap:
    """The shipped embedder, or that of another file; ModelError if the weights do not fit.

    InputError for any but the only possible config.
    """
    from ..listening.listener import load_listener

    if config:
        config.refuse_choice(NanoClap.name)
    return NanoClap(*load_listener(weights))
