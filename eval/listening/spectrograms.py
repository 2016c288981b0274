"""Input of nano-CLAP: a mel and a pitch spectrogram of every 5.12 s window, as 8-bit levels.

Levels are relative to the window's own loudest value, so gain does not matter. The mel spectrogram
serves timbre and rhythm. The pitch spectrogram resolves a third of a semitone, by a longer FFT.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from scipy import sparse

from dmm.codec.mel import MelFormat, mel_magnitude, stft

from ..clip_audio import read_mono
from ..windows import fill_windows

SR = 22050
WINDOW_SAMPLES = 112_896
"""5.12 s."""
TIMBRE = MelFormat(
    name="listener",
    sr=SR,
    hop_length=441,
    win_length=2048,
    n_fft=2048,
    n_mels=128,
    n_frames=256,
    fmax=10_000.0,
)
PITCH_STFT = TIMBRE.model_copy(
    update={"hop_length": 2352, "win_length": 8192, "n_fft": 8192, "n_frames": 48}
)
LOWEST_PITCH, SEMITONES, PER_SEMITONE = 28, 72, 3
"""Rows of the pitch spectrogram: six octaves from MIDI 28 (E1, 41 Hz), thirds of a semitone."""
FLOOR_DB = 80.0
SILENCE = 1e-6
"""A window counts as silent if its loudest value is below -120 dB."""


@dataclass(frozen=True)
class Spectrograms:
    """Spectrograms of windows; 255 is a window's loudest value, 0 is 80 dB less or below."""

    timbre: UInt8[np.ndarray, "n 128 256"]
    pitch: UInt8[np.ndarray, "n 216 48"]

    def __len__(self) -> int:
        return len(self.timbre)

    @classmethod
    def concatenate(cls, parts: Sequence["Spectrograms"]) -> "Spectrograms":
        """All windows of the parts, in order."""
        return cls(
            np.concatenate([part.timbre for part in parts]),
            np.concatenate([part.pitch for part in parts]),
        )


def spectrograms_of(audio: Float[np.ndarray, " samples"]) -> Spectrograms:
    """Spectrograms of all 5.12 s windows of mono audio at ``SR``; shorter audio is looped."""
    pairs = [_spectrogram_pair(window) for window in fill_windows(audio, WINDOW_SAMPLES)]
    return Spectrograms(np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]))


def read_all_mono(files: Iterable[Path]) -> Iterator[Float[np.ndarray, "_"]]:
    """Yield each file's audio at ``SR``; InputError for a file that cannot be read."""
    return (read_mono(path, SR) for path in files)


def _spectrogram_pair(
    window: Float[np.ndarray, " samples"],
) -> tuple[UInt8[np.ndarray, "128 256"], UInt8[np.ndarray, "216 48"]]:
    pitch = _pitch_filterbank() @ np.abs(stft(window, PITCH_STFT)).T
    return _as_8_bit_levels(mel_magnitude(window, TIMBRE)), _as_8_bit_levels(pitch)


def _as_8_bit_levels(
    magnitude: Float[np.ndarray, "rows frames"],
) -> UInt8[np.ndarray, "rows frames"]:
    peak = magnitude.max()
    if peak < SILENCE:
        return np.zeros(magnitude.shape, np.uint8)
    below_db = 20 * np.log10(np.maximum(magnitude / peak, 10 ** (-FLOOR_DB / 20)))
    return np.rint(255 * (1 + below_db / FLOOR_DB)).astype(np.uint8)


@cache
def _pitch_filterbank() -> sparse.csr_array:
    """Triangular filters a third of a semitone apart, never narrower than one FFT bin a side."""
    rows = np.arange(SEMITONES * PER_SEMITONE)
    centre_hz = 440 * 2 ** ((LOWEST_PITCH + (rows - 1) / PER_SEMITONE - 69) / 12)
    bin_hz = SR / PITCH_STFT.n_fft
    reach_hz = np.maximum(centre_hz * (2 ** (1 / 12 / PER_SEMITONE) - 1), bin_hz)[:, None]
    distance = np.abs(np.arange(PITCH_STFT.n_fft // 2 + 1) * bin_hz - centre_hz[:, None])
    weights = np.clip(1 - distance / reach_hz, 0, None)
    return sparse.csr_array((weights / weights.sum(1, keepdims=True)).astype(np.float32))
