"""The sets of clips that one report is about: clips, real clips, and perhaps a baseline."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dmm.embedders import Embedder

from .clips import EmbeddedClips, audio_files, embed_files, embed_reference
from .facts import match_pairs


@dataclass(frozen=True)
class Sets:
    """The folders of one report, embedded."""

    clips_folder: Path
    clips: EmbeddedClips
    reference_folder: Path
    reference: EmbeddedClips
    baseline_folder: Path | None = None
    baseline: EmbeddedClips | None = None

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """(baseline, clips) row indices of equal prompt and seed."""
        return match_pairs(self.baseline.files, self.clips.files) if self.baseline else []


def embed_sets(
    clips: Path,
    dataset: Path,
    embedder: Embedder,
    baseline: Path | None,
    ray: str | None = None,
) -> Sets:
    """Embed all folders with one embedder; InputError names the one that cannot be used."""
    real = embed_reference(dataset, embedder, ray)
    test = dataset / "test"
    return Sets(
        clips,
        embed_files(audio_files(clips), embedder, ray=ray),
        test if real.files[0].parent == test else dataset,
        real,
        baseline,
        embed_files(audio_files(baseline), embedder, ray=ray) if baseline else None,
    )
