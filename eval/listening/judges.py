"""Judges: which instruments, drums, tempo, key, mode and style the shipped listener hears.

They were trained on MiniMIDI renders that no generator was trained on; their accuracy on fresh
renders is in models/nano-clap/README.md. They know MiniMIDI's labels and nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from .hearing import SR, read_mono

if TYPE_CHECKING:
    from torch import Tensor

    from .listener import Listener

NO_DRUMS = "no drums"
HEARD = 0.5
"""An instrument is heard from this probability; on validation clips as often as it sounds."""


@dataclass(frozen=True)
class Heard:
    """What is heard in one clip, as probabilities by label."""

    instruments: dict[str, float]
    """Pitched instruments, each for itself."""
    drums: dict[str, float]
    """"no drums" and the kits; they sum to 1, as all below do."""
    tempo: dict[str, float]
    """"slow", "medium tempo", "fast"."""
    key: dict[str, float]
    """"C major" .. "B minor"."""
    style: dict[str, float]

    @property
    def mode(self) -> dict[str, float]:
        """Of "major" and "minor": the sums over their keys."""
        return {
            mode: sum(p for key, p in self.key.items() if key.endswith(mode))
            for mode in ("major", "minor")
        }

    @property
    def sounds(self) -> frozenset[str]:
        """Pitched instruments and the kit that are heard."""
        kit = likeliest(self.drums)
        pitched = {name for name, p in self.instruments.items() if p >= HEARD}
        return frozenset(pitched if kit == NO_DRUMS else {*pitched, kit})


def likeliest(probabilities: dict[str, float]) -> str:
    """The label of the highest probability.

    >>> likeliest({"slow": 0.2, "fast": 0.7})
    'fast'
    """
    return max(probabilities, key=probabilities.__getitem__)


class Judges:
    """A loaded listener and what it says of clips."""

    def __init__(self, listener: "Listener", version: str):
        self.listener = listener
        self.version = version
        """Of the weights: the beginning of their SHA-256."""

    def hear(self, files: Sequence[Path]) -> list[Heard]:
        """One result for each file, in order; InputError names the first that cannot be read."""
        return self.hear_audio(read_mono(files))

    def hear_audio(self, clips: Iterable[Float[np.ndarray, "_"]], sr: int = SR) -> list[Heard]:
        """Results for mono sounds; long ones are heard in windows of 5.12 s and averaged."""
        import soxr

        if sr != SR:
            clips = (soxr.resample(clip, sr, SR) for clip in clips)
        labels, said = self.listener.labels, self.listener.listen(clips)
        columns = (
            _named(labels.instruments, said.instruments),
            _named(labels.drums, said.drums),
            _named(labels.tempos, said.tempo),
            _named(labels.keys, said.key),
            _named(labels.styles, said.style),
        )
        return [Heard(*row) for row in zip(*columns, strict=True)]


def _named(labels: tuple[str, ...], rows: "Tensor") -> list[dict[str, float]]:
    return [dict(zip(labels, row, strict=True)) for row in rows.tolist()]


def load_judges(path: Path | None = None) -> Judges:
    """The shipped judges, or those of another weights file; ModelError if it does not fit."""
    from .listener import load_listener

    listener, sha256 = load_listener(path)
    return Judges(listener, sha256[:16])
