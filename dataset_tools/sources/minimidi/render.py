"""Piece to stereo sound: cached tones, gated, placed, mixed, coloured and levelled."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import fft

from .drums import KITS, hit, pan
from .instruments import INSTRUMENTS
from .kernels import add_note
from .piece import Note, Piece
from .styles import STYLES
from .tone import tone

TARGET_RMS = 0.1
"""-20 dBFS."""
LEVELLING = 0.85
"""1 gives every piece the same RMS, 0 leaves loudness to the notes."""
PEAK = 0.98


def render(piece: Piece, sr: int) -> Float[np.ndarray, "2 samples"]:
    """Float32 stereo, round(duration_s * sr) samples, peak below 0.99, RMS near -20 dBFS."""
    n_samples = round(piece.duration_s * sr)
    style = STYLES[piece.style]
    mix = _colour(_dry(piece, n_samples, sr), sr, style.reverb, style.lowpass_hz)
    rms = np.sqrt(np.mean(np.square(mix)))
    mix *= np.float32((TARGET_RMS / max(rms, 1e-6)) ** LEVELLING)
    peak = np.abs(mix).max()
    return mix * np.float32(min(1.0, PEAK / max(peak, 1e-6)))


def _dry(piece: Piece, n_samples: int, sr: int) -> Float[np.ndarray, "2 samples"]:
    out = np.zeros((2, n_samples), np.float32)
    for note in piece.notes:
        start = round(note.start_s * sr)
        if start >= n_samples:
            continue
        wave, place, release_s = _voice(note, sr)
        level = (note.velocity / 100) ** 1.5
        angle = (place + 1) * np.pi / 4
        held = int(note.duration_s * sr)
        decay = float(np.exp(-1 / (release_s * sr)))
        add_note(out, wave, start, held, decay, level * np.cos(angle), level * np.sin(angle))
    return out


def _voice(note: Note, sr: int) -> tuple[Float[np.ndarray, " samples"], float, float]:
    """Wave, pan and release time constant (s) of a note or a drum hit."""
    if note.instrument in KITS:
        return hit(note.instrument, note.pitch, sr), pan(note.pitch), 1.0
    instrument = INSTRUMENTS[note.instrument]
    return tone(note.instrument, note.pitch, sr), instrument.pan, instrument.release_s


def _colour(
    dry: Float[np.ndarray, "2 samples"], sr: int, reverb: float, lowpass_hz: float
) -> Float[np.ndarray, "2 samples"]:
    """Room and tone in one pass through the frequency domain."""
    n_samples = dry.shape[1]
    n_fft = fft.next_fast_len(n_samples + int(0.8 * sr), real=True)
    spectrum = np.asarray(fft.rfft(dry, n_fft))
    wet = spectrum.sum(0) * _room(sr, n_fft) * np.float32(reverb)
    coloured = (spectrum + wet) * _lowpass(sr, n_fft, lowpass_hz)
    return np.asarray(fft.irfft(coloured, n_fft))[:, :n_samples]


@lru_cache(maxsize=4)
def _room(sr: int, n_fft: int) -> np.ndarray:
    """Spectrum (2, bins) of a 0.8 s room: decaying noise of unit energy a channel."""
    rng = np.random.default_rng(20)
    time_s = np.arange(int(0.8 * sr)) / sr
    tail = rng.standard_normal((2, len(time_s))) * np.exp(-time_s / 0.16) * (time_s > 0.012)
    tail /= np.sqrt(np.square(tail).sum(1, keepdims=True))
    gentle = 1 / (1 + (fft.rfftfreq(n_fft, 1 / sr) / 2500) ** 2)
    return (np.asarray(fft.rfft(tail, n_fft)) * gentle).astype(np.complex64)


@lru_cache(maxsize=16)
def _lowpass(sr: int, n_fft: int, cutoff_hz: float) -> np.ndarray:
    freqs_hz = fft.rfftfreq(n_fft, 1 / sr)
    return (1 / np.sqrt(1 + (freqs_hz / cutoff_hz) ** 6)).astype(np.float32)
