"""What an embedder hears in clips: whether they follow their prompts, and how they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..codec.decode import decode
from ..codec.mel import MelFormat
from ..embedders import TextEmbedder
from ..progress import progress_bar
from ..registry import load_metric, load_text_embedder
from .reference import Ids, Run, Trial, compute


@dataclass(frozen=True)
class Heard:
    """What was heard in some clips."""

    follows: Float[np.ndarray, " clips"]
    """Cosine between each clip and its prompt."""
    embeddings: Float[np.ndarray, "clips dim"]

    @property
    def adherence(self) -> float:
        """Mean cosine in points of a hundred, higher is better."""
        return float(100 * self.follows.mean())

    def distance(self, other: "Heard") -> float:
        """Fréchet distance between both sets of clips; 0 is none."""
        return float(load_metric("fad")(self.embeddings, other.embeddings))


class Judge:
    """An embedder of sound and words, loaded once."""

    def __init__(self, embedder: str, weights: Path | None = None) -> None:
        """InputError for an embedder that is unknown, knows no words or lacks its weights."""
        self.embedder: TextEmbedder = load_text_embedder(embedder, weights)

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self.embedder.name} {self.embedder.version}"

    def hear(
        self,
        run: Run,
        ids: Ids,
        trials: Sequence[Trial],
        fmt: MelFormat,
        prompts: Sequence[str],
        note: str,
    ) -> Heard:
        """Compute the trials' clips with whatever runs the parts, and listen to each."""
        rows = []
        with progress_bar(note, len(trials)) as advance:
            for trial in trials:
                sound = decode(compute(run, ids, trial).image, fmt, "fast").mean(0, keepdims=True)
                rows.append(self.embedder.embed_sounds(sound, fmt.sr)[0])
                advance()
        heard = np.stack(rows).astype(np.float32)
        asked = self.embedder.embed_text(list(prompts))
        return Heard((heard * asked).sum(1), heard)
