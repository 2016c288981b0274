"""Mix two clips of nearly equal tempo with their beats aligned.

Based on the beat-synchronous audio mixup of Chen et al. 2023, "MusicLDM: enhancing novelty in
text-to-music generation using beat-synchronous mixup strategies". They track beats by a network;
here tempo and offset are estimated from the onsets of both clips.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from .stretch import change_tempo

FADE_S = 0.010
"""Crossfade from a loop's end to its beginning."""
HOP_S = 0.01
"""Time between values of the onset curve."""
BPM = (60.0, 180.0)
"""Lowest and highest tempo searched for."""
MAX_STRETCH = 0.06
"""Largest change of the partner's tempo; clips with other tempos are not mixed."""
RATIO = (0.5, 0.7)
"""Range of the clip's share in the mix: it is never the softer one; the partner stays audible."""
USUAL_PULSE_S = 0.5
"""Among periods that repeat equally well, people tap the one nearest to two beats a second."""
MIN_AUTOCORRELATION = 0.1
"""Least autocorrelation of the onsets at the beat, relative to lag 0, for a steady beat."""


def mix(
    clip: Float[np.ndarray, "channels samples"],
    partner: Float[np.ndarray, "channels partner_samples"],
    sr: int,
    generator: np.random.Generator,
    parameters: dict[str, Any],
) -> Float[np.ndarray, "channels samples"]:
    """Mix ``partner`` in at the clip's tempo and beats; adds "mixup" to ``parameters``.

    If one of them has no steady beat, or the tempos differ too much, the clip is returned unchanged
    and nothing is added.
    """
    ratio = round(float(generator.uniform(*RATIO)), 3)
    curve = onset_curve(clip, sr)
    period, other = beat_period_s(curve), beat_period_s(onset_curve(partner, sr))
    rate = nearest_tempo_factor(other, period) if period and other else None
    if rate is None:
        return clip
    n_samples, fade = clip.shape[1], round(FADE_S * sr)
    needed = partner[:, : math.ceil((n_samples + fade) * rate)]
    follower = cut_to_loop(_tiled(change_tempo(needed, rate), n_samples + fade), n_samples)
    lag = best_lag_frames(curve, onset_curve(follower, sr))
    follower = np.roll(follower, round(lag * HOP_S * sr), axis=1)
    level = _rms(clip) / max(_rms(follower), 1e-9)
    parameters["mixup"] = {
        "ratio": ratio,
        "partner_tempo": round(rate, 4),
        "partner_shift_s": round(lag * HOP_S, 2),
    }
    return (ratio * clip + (1 - ratio) * level * follower).astype(np.float32)


def onset_curve(
    audio: Float[np.ndarray, "channels samples"], sr: int
) -> Float[np.ndarray, " frames"]:
    """Onset curve: rise of the spectral levels summed over frequency, every 10 ms, mean removed."""
    from scipy import fft

    hop = round(HOP_S * sr)
    mono = np.pad(audio.mean(0), (2 * hop, 2 * hop))
    frames = np.lib.stride_tricks.sliding_window_view(mono, 4 * hop)[::hop]
    window = np.hanning(4 * hop).astype(np.float32)
    levels = np.log1p(100 * np.abs(np.asarray(fft.rfft(frames * window, axis=1))))
    rise = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0).sum(1)
    return rise - rise.mean()


def beat_period_s(curve: Float[np.ndarray, " frames"]) -> float | None:
    """Seconds between beats, by autocorrelation of the onset curve; None without a steady beat."""
    from scipy import signal

    strength = signal.correlate(curve, curve)[len(curve) - 1 :]
    strength = strength / np.arange(len(curve), 0, -1)
    low, high = (round(60 / bpm / HOP_S) for bpm in reversed(BPM))
    lags = np.arange(low, min(high, len(curve) // 2) + 1)
    if not len(lags) or strength[lags].max() < MIN_AUTOCORRELATION * max(strength[0], 1e-12):
        return None
    usual = np.exp(-0.5 * np.log2(lags * HOP_S / USUAL_PULSE_S) ** 2)
    best = int(lags[(strength[lags] * usual).argmax()])
    window = strength[best - 1 : best + 2]
    bend = window[0] - 2 * window[1] + window[2]
    return float((best + (0.5 * (window[0] - window[2]) / bend if bend < 0 else 0)) * HOP_S)


def nearest_tempo_factor(period: float, target: float) -> float | None:
    """Tempo factor from ``period`` to ``target``, its half or its double; None beyond 6 %."""
    rates = [period / target * octave for octave in (0.5, 1.0, 2.0)]
    rate = min(rates, key=lambda r: abs(np.log(r)))
    return float(rate) if abs(rate - 1) <= MAX_STRETCH else None


def best_lag_frames(
    lead: Float[np.ndarray, " frames"], follower: Float[np.ndarray, " frames"]
) -> int:
    """Frames by which to rotate ``follower`` so that its onsets coincide with those of ``lead``."""
    spectra = np.fft.rfft(lead) * np.fft.rfft(follower, len(lead)).conj()
    lag = int(np.fft.irfft(spectra, len(lead)).argmax())
    return lag - len(lead) if lag > len(lead) // 2 else lag


def cut_to_loop(
    audio: Float[np.ndarray, "channels longer"], n_samples: int
) -> Float[np.ndarray, "channels n_samples"]:
    """Cut to ``n_samples`` that loop without a click; the rest is faded into their beginning."""
    fade = audio.shape[1] - n_samples
    rise = np.linspace(0, 1, fade, dtype=np.float32)
    loop = audio[:, :n_samples].copy()
    loop[:, :fade] = loop[:, :fade] * rise + audio[:, n_samples:] * (1 - rise)
    return loop


def _tiled(
    audio: Float[np.ndarray, "channels samples"], n_samples: int
) -> Float[np.ndarray, "channels n_samples"]:
    """Repeat audio to ``n_samples``."""
    times = -(-n_samples // audio.shape[1])
    return np.tile(audio, (1, times))[:, :n_samples]


def _rms(audio: Float[np.ndarray, "channels samples"]) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
