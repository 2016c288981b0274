"""Render a piece to stereo sound: mix its notes, add the style's effects, set the level."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import fft

from .drums import KITS, drum_hit, drum_pan
from .effects import chorus_copy, record_noise, tape_wow
from .instruments import INSTRUMENTS
from .kernels import add_note
from .piece import Note, Piece
from .styles import STYLES, Style
from .tone import held_note

TARGET_RMS = 0.1
"""-20 dBFS."""
LEVELLING = 0.85
"""1 gives every piece the same RMS; 0 keeps the loudness of the notes."""
PEAK = 0.98
TAIL_S = 0.8
"""Length of the reverberation, and of the echoes."""
SOFT_BELOW = 60
"""Notes of lower velocity have the timbre of a softly played key."""


def render(piece: Piece, sr: int) -> Float[np.ndarray, "2 samples"]:
    """Render to float32 stereo, round(duration_s * sr) samples; peak < 0.99, RMS near -20 dBFS."""
    return add_effects_and_level(_mix_notes(piece, round(piece.duration_s * sr), sr), piece, sr)


def add_effects_and_level(
    dry: Float[np.ndarray, "2 samples"], piece: Piece, sr: int
) -> Float[np.ndarray, "2 samples"]:
    """Apply the effects of the piece's style to dry sound, and set its level."""
    style = STYLES[piece.style]
    if style.chorus:
        dry = dry + chorus_copy(dry, sr, style.chorus)
    mix = _add_echo_room_lowpass(dry, sr, style, 60 / piece.tempo_bpm)
    if style.tape:
        mix = tape_wow(mix, sr, style.tape, piece.seed)
    rms = np.sqrt(np.mean(np.square(mix)))
    mix *= np.float32((TARGET_RMS / max(rms, 1e-6)) ** LEVELLING)
    if style.vinyl:
        mix += style.vinyl * record_noise(mix.shape[1], sr, piece.seed)
    peak = np.abs(mix).max()
    return mix * np.float32(min(1.0, PEAK / max(peak, 1e-6)))


def _mix_notes(piece: Piece, n_samples: int, sr: int) -> Float[np.ndarray, "2 samples"]:
    """Mix all notes, without the style's effects."""
    out = np.zeros((2, n_samples), np.float32)
    for note in piece.notes:
        start = round(note.start_s * sr)
        if start >= n_samples:
            continue
        wave, place, release_s = _note_wave_pan_release(note, sr)
        level = (note.velocity / 100) ** 1.5
        angle = (place + 1) * np.pi / 4
        held = int(note.duration_s * sr)
        decay = float(np.exp(-1 / (release_s * sr)))
        add_note(out, wave, start, held, decay, level * np.cos(angle), level * np.sin(angle))
    return out


def _note_wave_pan_release(
    note: Note, sr: int
) -> tuple[Float[np.ndarray, " samples"], float, float]:
    """Waveform, pan and release time constant (s) of a note or a drum hit."""
    if note.instrument in KITS:
        return drum_hit(note.instrument, note.pitch, sr), drum_pan(note.pitch), 1.0
    instrument = INSTRUMENTS[note.instrument]
    wave = held_note(note.instrument, note.pitch, sr, note.velocity < SOFT_BELOW)
    return wave, instrument.pan, instrument.release_s


def _add_echo_room_lowpass(
    dry: Float[np.ndarray, "2 samples"], sr: int, style: Style, beat_s: float
) -> Float[np.ndarray, "2 samples"]:
    """Echo, reverberation and low-pass in one pass through the frequency domain."""
    n_samples = dry.shape[1]
    tail_s = TAIL_S * (2 if style.echo_beats else 1)
    n_fft = int(fft.next_fast_len(n_samples + int(tail_s * sr), real=True) or 0)
    spectrum = np.asarray(fft.rfft(dry, n_fft))
    if style.echo_beats:
        spectrum = spectrum * _echo_spectrum(sr, n_fft, style.echo_beats * beat_s)
    wet = spectrum.sum(0) * _room_spectrum(sr, n_fft) * np.float32(style.reverb)
    coloured = (spectrum + wet) * _lowpass_gain(sr, n_fft, style.lowpass_hz)
    return np.asarray(fft.irfft(coloured, n_fft))[:, :n_samples]


def _echo_spectrum(sr: int, n_fft: int, delay_s: float) -> np.ndarray:
    """Spectrum (bins) of an impulse and its echoes within ``TAIL_S``."""
    turn = np.exp(-2j * np.pi * fft.rfftfreq(n_fft, 1 / sr) * delay_s)
    repeats = range(int(TAIL_S / delay_s) + 1)
    return np.sum([(0.45 * turn) ** n for n in repeats], axis=0).astype(np.complex64)


@lru_cache(maxsize=4)
def _room_spectrum(sr: int, n_fft: int) -> np.ndarray:
    """Spectrum (2, bins) of a room: decaying noise of unit energy in each channel, low-passed."""
    rng = np.random.default_rng(20)
    time_s = np.arange(int(TAIL_S * sr)) / sr
    tail = rng.standard_normal((2, len(time_s))) * np.exp(-time_s / 0.16) * (time_s > 0.012)
    tail /= np.sqrt(np.square(tail).sum(1, keepdims=True))
    gentle = 1 / (1 + (fft.rfftfreq(n_fft, 1 / sr) / 2500) ** 2)
    return (np.asarray(fft.rfft(tail, n_fft)) * gentle).astype(np.complex64)


@lru_cache(maxsize=16)
def _lowpass_gain(sr: int, n_fft: int, cutoff_hz: float) -> np.ndarray:
    freqs_hz = fft.rfftfreq(n_fft, 1 / sr)
    return (1 / np.sqrt(1 + (freqs_hz / cutoff_hz) ** 6)).astype(np.float32)
