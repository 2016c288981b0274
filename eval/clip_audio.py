"""What a clip's file holds: its sound as one channel, and how long, how fast and how loud it is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.checkpoints.tokenizers import cache_root
from dmm.files import write_text
from dmm.sound.audio import read_audio
from dmm.sound.files import decode_blocks

SILENT_PEAK = 1e-3
"""-60 dB below full scale: no sample of a silent clip passes it."""
BLOCK_S = 10.0
IMAGES = {".png"}
DECODED = 1
"""Raised when mel images are decoded to other sound: their embeddings are then made anew."""


@dataclass(frozen=True)
class SoundFacts:
    """A clip as its file has it, before anything is resampled."""

    sr: int
    samples: int
    peak: float
    """The largest sample's size; 1.0 is full scale."""

    @property
    def duration_s(self) -> float:
        """Length in seconds, to the sample."""
        return self.samples / self.sr

    @property
    def is_silent(self) -> bool:
        """Whether nothing can be heard."""
        return self.peak < SILENT_PEAK


def mono(path: Path, sr: int) -> Float[np.ndarray, " samples"]:
    """One channel at ``sr`` Hz of a sound file, or of a mel image, which is decoded first.

    The images are a dataset's training clips: nothing else is kept of their sound. InputError, in
    one line, for what cannot be read.
    """
    if path.suffix.lower() not in IMAGES:
        return read_audio(path, sr, 1)[0]
    sound, own_sr = _decoded(path)
    return resample(sound.mean(0, keepdims=True), own_sr, sr)[0]


def resample(
    sounds: Float[np.ndarray, "n samples"], sr: int, to_sr: int
) -> Float[np.ndarray, "n resampled"]:
    """Mono sounds at another rate, as ``read_audio`` resamples files."""
    import soxr

    return sounds if sr == to_sr else np.ascontiguousarray(soxr.resample(sounds.T, sr, to_sr).T)


def facts_of(path: Path, sha256: str) -> SoundFacts:
    """Rate, length and peak, kept in the cache under the file's hash; errors as in ``mono``."""
    kept = cache_root() / "sounds" / sha256[:2] / f"{content_key(path, sha256)}.json"
    try:
        return SoundFacts(**json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # not there yet, or broken
        facts = _measure(path)
        write_text(kept, json.dumps(asdict(facts)))
        return facts


def content_key(path: Path, sha256: str) -> str:
    """What a clip's sound is known by in the cache."""
    return f"{sha256}-decoded{DECODED}" if path.suffix.lower() in IMAGES else sha256


def _measure(path: Path) -> SoundFacts:
    if path.suffix.lower() in IMAGES:
        sound, sr = _decoded(path)
        return SoundFacts(sr, sound.shape[1], float(np.abs(sound).max(initial=0)))
    facts = SoundFacts(sr=1, samples=0, peak=0.0)
    for block, sr in decode_blocks(path, BLOCK_S):
        peak = max(facts.peak, float(np.abs(block).max()))
        facts = SoundFacts(sr, facts.samples + block.shape[1], peak)
    return facts


def _decoded(path: Path) -> tuple[Float[np.ndarray, "channels samples"], int]:
    """Sound and rate of a mel image."""
    from dmm.codec.decode import decode
    from dmm.codec.image import read_image

    levels, fmt = read_image(path)
    return decode(levels, fmt), fmt.sr
