"""A vocal classifier without training: CLAP compares windows with descriptions of both classes.

Zero-shot classification as in LAION's CLAP (https://arxiv.org/abs/2211.06687, section 4.3); several
phrasings of each class are averaged, as CLIP does.
"""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.embedders import TextEmbedder
from dmm.registry import load_text_embedder

VOCAL = (
    "a song with a person singing",
    "music with vocals",
    "a singer sings over music",
    "a rapper raps over a beat",
    "a choir sings",
)
INSTRUMENTAL = (
    "instrumental music without voice",
    "music played by instruments, nobody sings",
    "an instrumental track",
    "a beat without vocals",
    "an orchestra plays",
)


class ZeroShotClassifier:
    """Vocal classifier from an embedder of sound and text; its probabilities are not calibrated."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self.embedder = embedder
        self.name = f"{embedder.name} zero-shot"
        prompts = hashlib.sha256("\n".join([*VOCAL, "", *INSTRUMENTAL]).encode()).hexdigest()
        self.version = f"{embedder.version}-{prompts[:8]}"
        self._vocal, self._instrumental = (self._mean_direction(x) for x in (VOCAL, INSTRUMENTAL))

    def probabilities(
        self, windows: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, " n"]:
        """Probability of vocals in each mono window: a softmax with the embedder's own scale."""
        if len(windows) == 0:
            return np.zeros(0)
        rows = self.embedder.embed_sounds(windows, sr)
        logits = self.embedder.logit_scale * rows @ (self._vocal - self._instrumental)
        return 1 / (1 + np.exp(-logits))

    def _mean_direction(self, texts: tuple[str, ...]) -> Float[np.ndarray, " dim"]:
        """Mean embedding of the texts, at unit length."""
        mean = self.embedder.embed_text(texts).mean(0)
        return mean / np.linalg.norm(mean)


def load_zero_shot(folder: Path) -> ZeroShotClassifier:
    """Load CLAP from a folder; ModelError if a part of it, such as the tokeniser, is missing."""
    return ZeroShotClassifier(load_text_embedder("clap", folder))
