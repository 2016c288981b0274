"""Onset envelopes, and the period and position of their beats.

The period is the strongest one of the onsets between 60 and 180 beats a minute. The position is
that of the evenly spaced comb with the highest mean onset strength. (Ellis 2007, "Beat Tracking by
Dynamic Programming", uses the same envelope and a comb that may drift.) For 3 to 15 s of music at a
constant tempo.
"""

import numpy as np
from jaxtyping import Float

TEMPI_BPM = (60.0, 180.0)
PULSE = 0.3
"""Least autocorrelation of the onsets at the beat; 5 s of noise rarely reach it."""
N_BANDS = 24
SOFT_S, SHARP_S = 0.052, 0.041
"""Width of the Hann window that smooths onsets: for the period, and for the position."""
SLACK_S = 1.5 * 64 / 11025
"""Largest difference of the exact period to the strongest whole number of frames: 1.5 frames of
64 samples at 11,025 Hz."""


def mel_onsets(mel: Float[np.ndarray, "mels frames"]) -> Float[np.ndarray, " frames"]:
    """Onset strength of mel magnitudes in 24 bands; 0 in the first frame."""
    edges = np.linspace(0, len(mel), N_BANDS + 1).round().astype(int)
    return onset_strength(np.add.reduceat(mel, edges[:-1], axis=0).T, first=True)


def onset_strength(
    bands: Float[np.ndarray, "frames bands"], first: bool = False
) -> Float[np.ndarray, " n"]:
    """Rise of the log level from frame to frame, without falls, summed over bands.

    With ``first`` the result starts with a 0 for the first frame.
    """
    level = np.log1p(1000 * bands / max(1e-9, float(bands.max(initial=0))))
    rise = np.maximum(np.diff(level, axis=0), 0).sum(axis=1)
    return np.pad(rise, (1, 0)) if first else rise


def beat_period(
    onsets: Float[np.ndarray, " frames"], rate_hz: float, least_pulse: float = PULSE
) -> float | None:
    """Frames between beats at ``rate_hz`` frames a second; None if onsets have no clear period.

    ``least_pulse`` is the least autocorrelation of the onsets at the beat.
    """
    shortest, longest = (round(60 * rate_hz / bpm) for bpm in reversed(TEMPI_BPM))
    if not onsets.any() or len(onsets) <= longest:
        return None
    varying = smooth_onsets(onsets, SOFT_S, rate_hz)
    varying = varying - varying.mean()
    power = np.abs(np.fft.rfft(varying, 2 * len(varying))) ** 2
    correlation = np.fft.irfft(power)[: longest + 1]
    lags = np.arange(shortest, longest + 1)
    share = correlation[lags] / correlation[0] * len(onsets) / (len(onsets) - lags)
    if share.max() < least_pulse:
        return None
    # People tap at about 120 a minute: a weight prefers periods near half a second.
    preference = np.exp(-0.5 * np.log2(lags / (0.5 * rate_hz)) ** 2)
    return float(lags[(share * preference).argmax()])


def fit_beat_comb(
    onsets: Float[np.ndarray, " frames"], period: float, rate_hz: float
) -> tuple[int, float]:
    """First frame and exact period of the comb with the highest mean onset strength."""
    smooth = smooth_onsets(onsets, SHARP_S, rate_hz)
    slack = SLACK_S * rate_hz
    best_level, best = -1.0, (0, period)
    for exact in period + np.linspace(-slack, slack, 31):
        first = np.arange(int(exact))
        n_beats = int((len(smooth) - 1 - int(exact)) // exact) + 1
        comb = (first[:, None] + exact * np.arange(n_beats)).round().astype(int)
        levels = smooth[comb].mean(axis=1)
        if levels.max() > best_level:
            best_level, best = float(levels.max()), (int(levels.argmax()), float(exact))
    return best


def smooth_onsets(
    onsets: Float[np.ndarray, " frames"], width_s: float, rate_hz: float
) -> Float[np.ndarray, " frames"]:
    """Onsets convolved with a Hann window of ``width_s``, at least 5 frames."""
    width = max(5, round(width_s * rate_hz) // 2 * 2 + 1)
    return np.convolve(onsets, np.hanning(width), "same")
