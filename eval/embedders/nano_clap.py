"""The embedder ``nano-clap``: a small CLAP-like network that ships with the project.

It is trained on MiniMIDI alone: it knows MiniMIDI's instruments, styles, tempos and moods, and no
other music. Its scores are not comparable with CLAP's.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from dmm.embedders import Attributes, EmbedderConfig, Identity, backend

from ..clip_audio import resample
from ..listening.judges import NO_DRUMS, AttributeProbabilities, attribute_probabilities
from ..listening.spectrograms import SR, read_all_mono

if TYPE_CHECKING:
    from ..listening.listener import Listener, Predictions


TEMPO_WORDS = {"medium tempo": "mid-tempo"}
CODE_VERSION = 1
"""Code version; increased when the same clip and weights give another vector."""


class NanoClap:
    """A loaded nano-CLAP network as an embedder of audio and text."""

    name = "nano-clap"
    protocol = "22.05 kHz mono, looped to 5.12 s; longer sound: mean of 5.12 s windows"
    dim = 128

    def __init__(self, listener: "Listener", sha256: str):
        self.listener = listener
        self.identity = Identity(self.name, sha256, backend("torch"), "loop", "fp32", CODE_VERSION)
        self.version = self.identity.version
        self.logit_scale = float(listener.log_scale.exp())

    def embed(self, audio_files: Sequence[Path]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; InputError names the first file that cannot be read."""
        return self._embed_mono_sounds(read_all_mono(audio_files))

    def embed_sounds(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32, of mono sounds at ``sr`` Hz."""
        return self._embed_mono_sounds(resample(sounds.astype(np.float32, copy=False), sr, SR))

    def embed_text(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; words outside the vocabulary are ignored."""
        import torch

        with torch.inference_mode():
            return self.listener.embed_tokens(self.listener.tokenize(texts)).numpy()

    def embed_and_classify(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> tuple[Float[np.ndarray, "n dim"], list[Attributes]]:
        """Rows, and probabilities of MiniMIDI's instruments, styles, tempo classes and keys."""
        mono = resample(sounds.astype(np.float32, copy=False), sr, SR)
        found = self.listener.clip_probabilities(mono)
        probabilities = attribute_probabilities(self.listener.labels, found)
        return _unit_rows(found), [_attributes(clip) for clip in probabilities]

    def _embed_mono_sounds(
        self, sounds: Iterable[Float[np.ndarray, "_"]]
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows of mono sounds at 22.05 kHz: means over each one's windows."""
        return _unit_rows(self.listener.clip_probabilities(sounds))


def _unit_rows(found: "Predictions") -> Float[np.ndarray, "n dim"]:
    rows = found.embedding.numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _attributes(found: AttributeProbabilities) -> Attributes:
    """The classifiers' probabilities by attribute, for ``SoundClassifier``."""
    kits = {kit: p for kit, p in found.drums.items() if kit != NO_DRUMS}
    return {
        "instrument": found.instruments | kits,
        "genre": found.style,
        "tempo": {TEMPO_WORDS.get(word, word): p for word, p in found.tempo.items()},
        "key": found.key,
    }


def load_nano_clap(weights: Path | None = None, config: EmbedderConfig | None = None) -> NanoClap:
    """Load the shipped weights, or those of ``weights``; ModelError if they do not fit.

    InputError if ``config`` asks for another protocol, precision or device.
    """
    from ..listening.listener import load_listener

    if config:
        config.refuse_non_defaults(NanoClap.name)
    return NanoClap(*load_listener(weights))
