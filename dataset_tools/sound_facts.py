"""Measure tempo, key, brightness and density of a stretch of music, by signal processing.

The key is the one whose profile (Temperley 2007, "Music and Probability", chapter 6) correlates
best with the strength of the twelve pitch classes, with a bonus for the first bass note. The tempo
is that of ``dmm.sound.rhythm``; it may be half or twice what people tap, which an embedder decides.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dmm.sound.rhythm import beat_period, fit_beat_comb

from .beats import HOP, SR, band_onsets

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
MINOR = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)
KEY_RATE, N_FFT, KEY_HOP = 11025, 4096, 1024
"""Analysis of pitch: windows of .37 s at 11,025 Hz, 2.7 Hz a bin."""
PITCHES_HZ, BASS_HZ = (55.0, 1000.0), (40.0, 260.0)
FIRST_FRAMES, FIRST_BONUS = 6, 0.1
"""Frames of the first bass note (half a second), and the most that it adds to a correlation."""
LEAST_PULSE = 0.15
"""Least autocorrelation of the onsets at a beat. A wrong tempo is only a wrong word here;
cutting clips at beats requires twice as much."""
ONSET_SHARE = 0.3
"""A peak of the onset curve counts as a note from this share of the highest peak on."""


@dataclass(frozen=True)
class SoundFacts:
    """Tempo, key, brightness and density of a stretch of music."""

    tempo_bpm: float | None
    """Beats a minute, 60 to 180, or half or twice the real tempo; None without a steady beat."""
    key: str
    """Tonic and mode: "A minor". Clips of a few seconds are often ambiguous."""
    key_strength: float
    """Correlation with the key's profile, -1..1, with the bonus of the first bass note."""
    brightness_hz: float
    """Spectral centroid."""
    density: float
    """Notes or strokes a second."""


def measure_sound_facts(mono: Float[np.ndarray, " samples"], sr: int) -> SoundFacts:
    """Measure mono sound of 3 to 15 seconds."""
    onsets = band_onsets(mono[None], sr)
    spectra = _peak_spectra(mono, sr)
    key, strength = estimate_key(spectra)
    return SoundFacts(
        _tempo(onsets), key, strength, _brightness(mono, sr), _density(onsets, len(mono) / sr)
    )


def _tempo(onsets: Float[np.ndarray, " frames"]) -> float | None:
    """Beats a minute; None without a steady beat."""
    period = beat_period(onsets, SR / HOP, LEAST_PULSE)
    if period is None:
        return None
    return round(60 * SR / HOP / fit_beat_comb(onsets, period, SR / HOP)[1], 1)


def _density(onsets: Float[np.ndarray, " frames"], duration_s: float) -> float:
    """Peaks of the onset curve per second."""
    from scipy.signal import find_peaks

    apart = round(0.06 * SR / HOP)
    peaks, _ = find_peaks(onsets, height=ONSET_SHARE * onsets.max(initial=0), distance=apart)
    return round(len(peaks) / duration_s, 2)


def _peak_spectra(mono: Float[np.ndarray, " samples"], sr: int) -> Float[np.ndarray, "frames bins"]:
    """STFT magnitudes at ``KEY_RATE``, with all bins but local peaks set to 0."""
    import soxr
    from scipy.fft import rfft

    sound = soxr.resample(np.ascontiguousarray(mono, np.float32), sr, KEY_RATE, quality="LQ")
    sound = np.pad(sound, N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(sound, N_FFT)[::KEY_HOP]
    levels = np.abs(np.asarray(rfft(frames * np.hanning(N_FFT).astype(np.float32), axis=1)))
    peaks = np.zeros_like(levels)
    middle = levels[:, 1:-1]
    peaks[:, 1:-1] = middle * ((middle > levels[:, :-2]) & (middle >= levels[:, 2:]))
    return peaks


def estimate_key(peaks: Float[np.ndarray, "frames bins"]) -> tuple[str, float]:
    """Most probable key ("A minor") and its strength, from ``_peak_spectra``."""
    chroma = _pitch_classes(np.sqrt(peaks), *PITCHES_HZ)
    bass = _pitch_classes(peaks[:FIRST_FRAMES], *BASS_HZ)
    chroma = chroma - chroma.mean()
    chroma = chroma / max(float(np.linalg.norm(chroma)), 1e-9)
    bonus = FIRST_BONUS * bass / max(float(bass.max()), 1e-9)
    scores = {
        f"{PITCH_CLASSES[tonic]} {mode}": float(
            np.roll(_centred(profile), tonic) @ chroma + bonus[tonic]
        )
        for mode, profile in (("major", MAJOR), ("minor", MINOR))
        for tonic in range(12)
    }
    key = max(scores, key=scores.__getitem__)
    return key, round(scores[key], 3)


def _centred(profile: tuple[float, ...]) -> Float[np.ndarray, "12"]:
    values = np.array(profile) - np.mean(profile)
    return values / np.linalg.norm(values)


def _pitch_classes(
    peaks: Float[np.ndarray, "frames bins"], low_hz: float, high_hz: float
) -> Float[np.ndarray, "12"]:
    """Sum of the peaks of each pitch class; peaks between two semitones count less."""
    hz = np.arange(peaks.shape[1]) * KEY_RATE / N_FFT
    used = (hz > low_hz) & (hz < high_hz)
    pitch = 12 * np.log2(hz[used] / 440) + 69
    weights = np.maximum(0, 1 - 2 * np.abs(pitch - pitch.round()))
    sums = peaks[:, used].sum(axis=0) * weights
    return np.bincount(pitch.round().astype(int) % 12, sums, minlength=12)


def _brightness(mono: Float[np.ndarray, " samples"], sr: int) -> float:
    """Spectral centroid in Hz."""
    levels = np.abs(np.fft.rfft(mono))
    hz = np.fft.rfftfreq(len(mono), 1 / sr)
    return round(float((levels * hz).sum() / max(float(levels.sum()), 1e-9)), 1)
