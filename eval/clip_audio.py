"""Audio of a clip's file or mel image as one channel, and its duration, sample rate and peak."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.checkpoints.tokenizers import cache_root
from dmm.errors import InputError
from dmm.files import read_json, write_text
from dmm.sound.audio import read_audio
from dmm.sound.decoding import decode_blocks

SILENT_PEAK = 1e-3
"""Peak below which a clip counts as silent: -60 dB relative to full scale."""
BLOCK_S = 10.0
IMAGE_SUFFIXES = {".png"}
DECODING_VERSION = 1
"""Increased when mel images decode to other audio: then cached results are computed again."""


@dataclass(frozen=True)
class AudioProperties:
    """Sample rate, length and peak of a clip's file, before resampling."""

    sr: int
    samples: int
    peak: float
    """Largest absolute sample; 1.0 is full scale."""

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sr

    @property
    def is_silent(self) -> bool:
        """Whether the peak is below -60 dB."""
        return self.peak < SILENT_PEAK


def read_mono(path: Path, sr: int) -> Float[np.ndarray, " samples"]:
    """Read an audio file, or decode a mel image, as one channel at ``sr`` Hz.

    A dataset keeps its training clips as mel images only. InputError, in one line, for a file that
    cannot be read.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return read_audio(path, sr, 1)[0]
    sound, own_sr = _decode_image(path)
    return resample(sound.mean(0, keepdims=True), own_sr, sr)[0]


def resample(
    sounds: Float[np.ndarray, "n samples"], sr: int, to_sr: int
) -> Float[np.ndarray, "n resampled"]:
    """Resample mono sounds to ``to_sr``, by the resampler that ``read_audio`` uses."""
    import soxr

    return sounds if sr == to_sr else np.ascontiguousarray(soxr.resample(sounds.T, sr, to_sr).T)


def cached_audio_properties(path: Path, sha256: str) -> AudioProperties:
    """Measure a file, or read its properties from the cache; errors as in ``read_mono``."""
    cached = cache_root() / "sounds" / sha256[:2] / f"{content_key(path, sha256)}.json"
    try:
        return read_json(cached, AudioProperties)
    except InputError:  # not there yet, or broken
        properties = _measure_properties(path)
        write_text(cached, json.dumps(asdict(properties)))
        return properties


def content_key(path: Path, sha256: str) -> str:
    """The clip's key in the caches of embeddings and properties."""
    return (
        f"{sha256}-decoded{DECODING_VERSION}" if path.suffix.lower() in IMAGE_SUFFIXES else sha256
    )


def _measure_properties(path: Path) -> AudioProperties:
    """Sample rate, length and peak of a file or mel image."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        sound, sr = _decode_image(path)
        return AudioProperties(sr, sound.shape[1], float(np.abs(sound).max(initial=0)))
    found = AudioProperties(sr=1, samples=0, peak=0.0)
    for block, sr in decode_blocks(path, BLOCK_S):
        peak = max(found.peak, float(np.abs(block).max()))
        found = AudioProperties(sr, found.samples + block.shape[1], peak)
    return found


def _decode_image(path: Path) -> tuple[Float[np.ndarray, "channels samples"], int]:
    """Audio and sample rate of a mel image."""
    from dmm.codec.decode import decode
    from dmm.codec.image import read_image

    levels, fmt = read_image(path)
    return decode(levels, fmt), fmt.sr
