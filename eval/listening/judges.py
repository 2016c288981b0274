"""Judges: nano-CLAP's classifiers of instruments, drums, tempo, key, mode and style in clips.

The network (``listener.py``) was trained on MiniMIDI renders that no generator was trained on. The
judges know MiniMIDI's labels only; models/nano-clap/README.md gives their accuracy.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from .spectrograms import SR, read_all_mono

if TYPE_CHECKING:
    from torch import Tensor

    from .listener import Labels, Listener, Predictions

NO_DRUMS = "no drums"
DETECTION_THRESHOLD = 0.5
"""Probability of a detected instrument: detections are as frequent as playing, on validation."""


@dataclass(frozen=True)
class AttributeProbabilities:
    """Probability of every label of instruments, drums, tempo, key and style, for one clip."""

    instruments: dict[str, float]
    """Pitched instruments, independent of one another."""
    drums: dict[str, float]
    """"no drums" and the kits; these sum to 1, as do tempo, key and style."""
    tempo: dict[str, float]
    """"slow", "medium tempo", "fast"."""
    key: dict[str, float]
    """"C major" .. "B minor"."""
    style: dict[str, float]

    @property
    def mode(self) -> dict[str, float]:
        """Probabilities of "major" and "minor": sums over their keys."""
        return {
            mode: sum(p for key, p in self.key.items() if key.endswith(mode))
            for mode in ("major", "minor")
        }

    @property
    def detected_instruments_and_kit(self) -> frozenset[str]:
        """Names of the detected pitched instruments, and of the drum kit if there is one."""
        kit = most_probable_label(self.drums)
        pitched = {name for name, p in self.instruments.items() if p >= DETECTION_THRESHOLD}
        return frozenset(pitched if kit == NO_DRUMS else {*pitched, kit})


def most_probable_label(probabilities: dict[str, float]) -> str:
    """The label with the highest probability; ValueError without labels.

    >>> most_probable_label({"slow": 0.2, "fast": 0.7})
    'fast'
    """
    return max(probabilities, key=probabilities.__getitem__)


class Judges:
    """A loaded nano-CLAP network as a classifier of clips."""

    def __init__(self, listener: "Listener", version: str):
        self.listener = listener
        self.version = version
        """First 16 digits of the weights' SHA-256."""

    def probabilities_of_files(self, files: Sequence[Path]) -> list[AttributeProbabilities]:
        """Probabilities for each file, in order; InputError names the first unreadable file."""
        return self.probabilities_of_audio(read_all_mono(files))

    def probabilities_of_audio(
        self, clips: Iterable[Float[np.ndarray, "_"]], sr: int = SR
    ) -> list[AttributeProbabilities]:
        """Probabilities for each mono clip: means over its windows of 5.12 s."""
        import soxr

        if sr != SR:
            clips = (soxr.resample(clip, sr, SR) for clip in clips)
        found = self.listener.clip_probabilities(clips)
        return attribute_probabilities(self.listener.labels, found)


def attribute_probabilities(labels: "Labels", found: "Predictions") -> list[AttributeProbabilities]:
    """The probabilities of each clip in ``found`` by their labels."""
    columns = (
        _rows_as_dicts(labels.instruments, found.instruments),
        _rows_as_dicts(labels.drums, found.drums),
        _rows_as_dicts(labels.tempos, found.tempo),
        _rows_as_dicts(labels.keys, found.key),
        _rows_as_dicts(labels.styles, found.style),
    )
    return [AttributeProbabilities(*row) for row in zip(*columns, strict=True)]


def _rows_as_dicts(labels: tuple[str, ...], rows: "Tensor") -> list[dict[str, float]]:
    """Each row of probabilities as a mapping from its label."""
    return [dict(zip(labels, row, strict=True)) for row in rows.tolist()]


def load_judges(path: Path | None = None) -> Judges:
    """Load the shipped nano-CLAP, or the file ``path``; ModelError if it is missing or damaged."""
    from .listener import load_listener

    listener, sha256 = load_listener(path)
    return Judges(listener, sha256[:16])
