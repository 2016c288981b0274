"""What the listener is given: two pictures of every 5.12 s window, one for timbre, one for pitch.

Both hold levels below the window's own loudest value, so gain does not matter. Timbre and rhythm
need time and the whole spectrum; harmony needs a third of a semitone, hence a longer window.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from scipy import sparse

from dmm.codec.mel import MelFormat, mel_magnitude, stft

from ..sound import mono
from ..windows import windows

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
"""The pitch picture's rows: six octaves from MIDI 28 (E1, 41 Hz), thirds of a semitone."""
FLOOR_DB = 80.0
SILENCE = 1e-6
"""A window whose loudest value is below -120 dB counts as silent."""


@dataclass(frozen=True)
class Pictures:
    """Windows as the listener sees them; 255 is the loudest value of a window, 0 is 80 dB less."""

    timbre: UInt8[np.ndarray, "n 128 256"]
    pitch: UInt8[np.ndarray, "n 216 48"]

    def __len__(self) -> int:
        return len(self.timbre)

    @classmethod
    def joined(cls, parts: Sequence["Pictures"]) -> "Pictures":
        """The windows of all parts in their order."""
        return cls(
            np.concatenate([part.timbre for part in parts]),
            np.concatenate([part.pitch for part in parts]),
        )


def hear(audio: Float[np.ndarray, " samples"]) -> Pictures:
    """The pictures of all windows of mono sound at ``SR``."""
    pairs = [_pictures(window) for window in windows(audio, WINDOW_SAMPLES)]
    return Pictures(np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]))


def read_mono(files: Iterable[Path]) -> Iterator[Float[np.ndarray, "_"]]:
    """Each file's sound at ``SR``, read when asked for; InputError for one that cannot be read."""
    return (mono(path, SR) for path in files)


def _pictures(
    window: Float[np.ndarray, " samples"],
) -> tuple[UInt8[np.ndarray, "128 256"], UInt8[np.ndarray, "216 48"]]:
    pitch = _pitch_filterbank() @ np.abs(stft(window, PITCH_STFT)).T
    return _levels(mel_magnitude(window, TIMBRE)), _levels(pitch)


def _levels(magnitude: Float[np.ndarray, "rows frames"]) -> UInt8[np.ndarray, "rows frames"]:
    peak = magnitude.max()
    if peak < SILENCE:
        return np.zeros(magnitude.shape, np.uint8)
    below_db = 20 * np.log10(np.maximum(magnitude / peak, 10 ** (-FLOOR_DB / 20)))
    return np.rint(255 * (1 + below_db / FLOOR_DB)).astype(np.uint8)


@cache
def _pitch_filterbank() -> sparse.csr_array:
    """Triangles a third of a semitone apart, at least one FFT bin wide; the largest bin counts."""
    rows = np.arange(SEMITONES * PER_SEMITONE)
    centre_hz = 440 * 2 ** ((LOWEST_PITCH + (rows - 1) / PER_SEMITONE - 69) / 12)
    bin_hz = SR / PITCH_STFT.n_fft
    reach_hz = np.maximum(centre_hz * (2 ** (1 / 12 / PER_SEMITONE) - 1), bin_hz)[:, None]
    distance = np.abs(np.arange(PITCH_STFT.n_fft // 2 + 1) * bin_hz - centre_hz[:, None])
    weights = np.clip(1 - distance / reach_hz, 0, None)
    return sparse.csr_array((weights / weights.sum(1, keepdims=True)).astype(np.float32))
