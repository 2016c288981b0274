"""Score clips with a text-audio embedder: similarity to their prompts, and FAD between two sets."""

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
from .reference import RunPart, SamplingRun, TokenIds, sample_clip


@dataclass(frozen=True)
class ClipScores:
    """Scores of a set of clips."""

    similarities: Float[np.ndarray, " clips"]
    """Cosine between each clip and its prompt."""
    embeddings: Float[np.ndarray, "clips dim"]

    @property
    def adherence(self) -> float:
        """Mean cosine times 100; higher is better."""
        return float(100 * self.similarities.mean())

    def fad(self, other: "ClipScores") -> float:
        """Fréchet audio distance to another set of clips; 0 means the same distribution."""
        return float(load_metric("fad")(self.embeddings, other.embeddings))


class ClipScorer:
    """Generates clips with any runtime and scores them with one embedder, which is loaded once."""

    def __init__(self, embedder: str, weights: Path | None = None) -> None:
        """InputError for an embedder that is unknown, reads no text or lacks its weights."""
        self.embedder: TextEmbedder = load_text_embedder(embedder, weights)

    @property
    def name(self) -> str:
        """The embedder's name and version."""
        return f"{self.embedder.name} {self.embedder.version}"

    def score(
        self,
        run: RunPart,
        ids: TokenIds,
        sampling_runs: Sequence[SamplingRun],
        fmt: MelFormat,
        prompts: Sequence[str],
        note: str,
    ) -> ClipScores:
        """Generate each trial's clip with ``run`` and score it by its prompt."""
        rows = []
        with progress_bar(note, len(sampling_runs)) as advance:
            for sampling_run in sampling_runs:
                audio = decode(sample_clip(run, ids, sampling_run).image, fmt, "fast").mean(
                    0, keepdims=True
                )
                rows.append(self.embedder.embed_sounds(audio, fmt.sr)[0])
                advance()
        embeddings = np.stack(rows).astype(np.float32)
        texts = self.embedder.embed_text(list(prompts))
        return ClipScores((embeddings * texts).sum(1), embeddings)
