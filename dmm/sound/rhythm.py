"""Beats in an onset envelope: how far apart they are, and where the first one falls.

The distance is the strongest period of the onsets between 60 and 180 beats a minute, the place
that of the comb of equal distances which catches most of the onsets (Ellis 2007, "Beat Tracking by
Dynamic Programming", has the same onset envelope and a drifting comb). Meant for 3 to 15 s of
music, over which the tempo holds.
"""

import numpy as np
from jaxtyping import Float

TEMPI_BPM = (60.0, 180.0)
PULSE = 0.3
"""Least autocorrelation of the onsets at the beat; 5 s of noise seldom reach it."""
N_BANDS = 24
SOFT_S, SHARP_S = 0.052, 0.041
"""Onsets are smeared so wide before periods, and before places, are compared."""
SLACK_S = 1.5 * 64 / 11025
"""How far the exact period may be from the strongest whole number of frames."""


def mel_onsets(mel: Float[np.ndarray, "mels frames"]) -> Float[np.ndarray, " frames"]:
    """Rise of the level in 24 bands of a mel image's magnitudes, summed; 0 in the first frame."""
    edges = np.linspace(0, len(mel), N_BANDS + 1).round().astype(int)
    return rises(np.add.reduceat(mel, edges[:-1], axis=0).T, first=True)


def rises(bands: Float[np.ndarray, "frames bands"], first: bool = False) -> Float[np.ndarray, " n"]:
    """Rise of the log level from each frame to the next, over all bands."""
    level = np.log1p(1000 * bands / max(1e-9, float(bands.max(initial=0))))
    rise = np.maximum(np.diff(level, axis=0), 0).sum(axis=1)
    return np.pad(rise, (1, 0)) if first else rise


def beat_period(onsets: Float[np.ndarray, " frames"], rate_hz: float) -> float | None:
    """Frames from beat to beat, at ``rate_hz`` frames a second; None if onsets do not repeat."""
    shortest, longest = (round(60 * rate_hz / bpm) for bpm in reversed(TEMPI_BPM))
    if not onsets.any() or len(onsets) <= longest:
        return None
    varying = smeared(onsets, SOFT_S, rate_hz)
    varying = varying - varying.mean()
    power = np.abs(np.fft.rfft(varying, 2 * len(varying))) ** 2
    correlation = np.fft.irfft(power)[: longest + 1]
    lags = np.arange(shortest, longest + 1)
    share = correlation[lags] / correlation[0] * len(onsets) / (len(onsets) - lags)
    if share.max() < PULSE:
        return None
    # People tap near 120 a minute: among equals, the period nearest to half a second.
    usual = np.exp(-0.5 * np.log2(lags / (0.5 * rate_hz)) ** 2)
    return float(lags[(share * usual).argmax()])


def beat_comb(
    onsets: Float[np.ndarray, " frames"], period: float, rate_hz: float
) -> tuple[int, float]:
    """First frame and exact distance of the comb that holds the most onsets on average."""
    smooth = smeared(onsets, SHARP_S, rate_hz)
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


def smeared(
    onsets: Float[np.ndarray, " frames"], width_s: float, rate_hz: float
) -> Float[np.ndarray, " frames"]:
    """Onsets under a Hann window, so that near misses count too."""
    width = max(5, round(width_s * rate_hz) // 2 * 2 + 1)
    return np.convolve(onsets, np.hanning(width), "same")
