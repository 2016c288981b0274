"""Where the beat falls: to start windows on it."""

import numpy as np
from jaxtyping import Float

SR, HOP, N_FFT, N_BANDS = 11025, 64, 512, 24
"""Onsets are placed to within one hop, 6 ms."""
RISE_FRAMES = 3.4
"""A click raises the level so many frames before it reaches their centre."""
TEMPI_BPM = (60.0, 180.0)
PULSE = 0.3
"""Least autocorrelation of the onsets at the beat; 5 s of noise seldom reach it."""


def first_beat(audio: Float[np.ndarray, "channels samples"], sr: int) -> int:
    """Samples from the start to the first beat; 0 if no steady pulse is heard.

    Meant for segments of about 3 to 15 s, over which the tempo holds: the beats are the comb of
    equal distances that catches most of the onsets. The distance is the strongest period of the
    onsets between 60 and 180 beats a minute (Ellis 2007, "Beat Tracking by Dynamic Programming",
    has the same onset envelope and a drifting comb).
    """
    if audio.shape[1] < sr * 120 / TEMPI_BPM[0]:
        return 0  # not two beats
    onsets = _onsets(audio, sr)
    period = _period(onsets)
    if period is None:
        return 0
    frame = (_phase(onsets, period) + RISE_FRAMES) % period
    return round(frame * HOP * sr / SR)


def _onsets(audio: Float[np.ndarray, "channels samples"], sr: int) -> Float[np.ndarray, " frames"]:
    """Rise of the level in 24 bands, summed; frame i is centred on sample ``i * HOP``."""
    import soxr
    from scipy.fft import rfft  # four times as fast as NumPy's in 32 bits

    mono = soxr.resample(np.ascontiguousarray(audio.mean(axis=0)), sr, SR, quality="LQ")
    padded = np.pad(mono.astype(np.float32), N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    spectra = np.abs(np.asarray(rfft(frames * np.hanning(N_FFT).astype(np.float32), axis=1)))
    edges = np.unique(np.geomspace(1, N_FFT // 2, N_BANDS + 1).round().astype(int))
    bands = np.add.reduceat(spectra[:, :-1], edges[:-1], axis=1)
    level = np.log1p(1000 * bands / max(1e-9, float(bands.max(initial=0))))
    return np.maximum(np.diff(level, axis=0), 0).sum(axis=1)


def _period(onsets: Float[np.ndarray, " frames"]) -> float | None:
    """Frames from beat to beat; None if the onsets do not repeat."""
    shortest, longest = (round(60 * SR / HOP / bpm) for bpm in reversed(TEMPI_BPM))
    if not onsets.any():
        return None
    varying = np.convolve(onsets, np.hanning(9), "same")
    varying = varying - varying.mean()
    power = np.abs(np.fft.rfft(varying, 2 * len(varying))) ** 2
    correlation = np.fft.irfft(power)[: longest + 1]
    lags = np.arange(shortest, longest + 1)
    share = correlation[lags] / correlation[0] * len(onsets) / (len(onsets) - lags)
    if share.max() < PULSE:
        return None
    # People tap near 120 a minute: among equals, the period nearest to half a second.
    usual = np.exp(-0.5 * np.log2(lags / (0.5 * SR / HOP)) ** 2)
    return float(lags[(share * usual).argmax()])


def _phase(onsets: Float[np.ndarray, " frames"], period: float) -> int:
    """First frame of the comb, of about this period, that holds the most onsets on average."""
    smooth = np.convolve(onsets, np.hanning(7), "same")
    best_level, best_first = -1.0, 0
    for exact in period + np.linspace(-1.5, 1.5, 31):
        first = np.arange(int(exact))
        n_beats = int((len(smooth) - 1 - int(exact)) // exact) + 1
        comb = (first[:, None] + exact * np.arange(n_beats)).round().astype(int)
        levels = smooth[comb].mean(axis=1)
        if levels.max() > best_level:
            best_level, best_first = float(levels.max()), int(levels.argmax())
    return best_first
