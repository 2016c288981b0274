"""Mix two clips of nearly equal tempo, beat on beat.

After beat-synchronous audio mixup of Chen et al. 2023, "MusicLDM: enhancing novelty in
text-to-music generation using beat-synchronous mixup strategies". They track beats with a network
over the whole collection; here both clips' onsets tell tempo and offset, pair by pair.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import fft, signal

from .stretch import stretch

FADE_S = 0.010
"""Over which a loop's end runs into its beginning."""
HOP_S = 0.01
"""Of the onset curve."""
BPM = (60.0, 180.0)
MOST_STRETCH = 0.06
"""Of the partner; clips further apart in tempo are not mixed."""
RATIO = (0.5, 0.7)
"""Of the clip that the caption is of: it stays the louder, and the partner is still heard."""
USUAL_PULSE_S = 0.5
"""Among periods that repeat equally well, people tap the one nearest to two a second."""
PULSE = 0.1
"""Least autocorrelation of the onsets at the beat."""


def mix(
    clip: Float[np.ndarray, "channels samples"],
    partner: Float[np.ndarray, "channels partner_samples"],
    sr: int,
    generator: np.random.Generator,
    drawn: dict[str, Any],
) -> Float[np.ndarray, "channels samples"]:
    """Mix ``partner`` in at the clip's tempo and beats, and add what was done to ``drawn``.

    The clip comes back alone, and ``drawn`` as it was, if one has no pulse or the tempos differ.
    """
    ratio = round(float(generator.uniform(*RATIO)), 3)
    curve = onsets(clip, sr)
    period, other = pulse_s(curve), pulse_s(onsets(partner, sr))
    rate = nearest_rate(other, period) if period and other else None
    if rate is None:
        return clip
    n_samples, fade = clip.shape[1], round(FADE_S * sr)
    needed = partner[:, : math.ceil((n_samples + fade) * rate)]
    follower = looped(_tiled(stretch(needed, rate), n_samples + fade), n_samples)
    lag = best_lag(curve, onsets(follower, sr))
    follower = np.roll(follower, round(lag * HOP_S * sr), axis=1)
    level = _rms(clip) / max(_rms(follower), 1e-9)
    drawn["mixup"] = {
        "ratio": ratio,
        "partner_tempo": round(rate, 4),
        "partner_shift_s": round(lag * HOP_S, 2),
    }
    return (ratio * clip + (1 - ratio) * level * follower).astype(np.float32)


def onsets(audio: Float[np.ndarray, "channels samples"], sr: int) -> Float[np.ndarray, " frames"]:
    """Measure how fast spectral levels rise, every 10 ms, summed over frequency, mean removed."""
    hop = round(HOP_S * sr)
    mono = np.pad(audio.mean(0), (2 * hop, 2 * hop))
    frames = np.lib.stride_tricks.sliding_window_view(mono, 4 * hop)[::hop]
    window = np.hanning(4 * hop).astype(np.float32)
    levels = np.log1p(100 * np.abs(np.asarray(fft.rfft(frames * window, axis=1))))
    rise = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0).sum(1)
    return rise - rise.mean()


def pulse_s(curve: Float[np.ndarray, " frames"]) -> float | None:
    """Find the time between beats by autocorrelation; None where nothing repeats."""
    strength = signal.correlate(curve, curve)[len(curve) - 1 :]
    strength = strength / np.arange(len(curve), 0, -1)
    low, high = (round(60 / bpm / HOP_S) for bpm in reversed(BPM))
    lags = np.arange(low, min(high, len(curve) // 2) + 1)
    if not len(lags) or strength[lags].max() < PULSE * max(strength[0], 1e-12):
        return None
    usual = np.exp(-0.5 * np.log2(lags * HOP_S / USUAL_PULSE_S) ** 2)
    best = int(lags[(strength[lags] * usual).argmax()])
    window = strength[best - 1 : best + 2]
    bend = window[0] - 2 * window[1] + window[2]
    return float((best + (0.5 * (window[0] - window[2]) / bend if bend < 0 else 0)) * HOP_S)


def nearest_rate(period: float, target: float) -> float | None:
    """How much faster a pulse must go to meet another, or half or twice it; None if over 6 %."""
    rates = [period / target * octave for octave in (0.5, 1.0, 2.0)]
    rate = min(rates, key=lambda r: abs(np.log(r)))
    return float(rate) if abs(rate - 1) <= MOST_STRETCH else None


def best_lag(lead: Float[np.ndarray, " frames"], follower: Float[np.ndarray, " frames"]) -> int:
    """Frames by which to turn ``follower`` round so that its onsets meet those of ``lead``."""
    spectra = np.fft.rfft(lead) * np.fft.rfft(follower, len(lead)).conj()
    lag = int(np.fft.irfft(spectra, len(lead)).argmax())
    return lag - len(lead) if lag > len(lead) // 2 else lag


def looped(
    audio: Float[np.ndarray, "channels longer"], n_samples: int
) -> Float[np.ndarray, "channels n_samples"]:
    """Cut to ``n_samples`` that may go round: what follows them fades out over their beginning."""
    fade = audio.shape[1] - n_samples
    rise = np.linspace(0, 1, fade, dtype=np.float32)
    loop = audio[:, :n_samples].copy()
    loop[:, :fade] = loop[:, :fade] * rise + audio[:, n_samples:] * (1 - rise)
    return loop


def _tiled(
    audio: Float[np.ndarray, "channels samples"], n_samples: int
) -> Float[np.ndarray, "channels n_samples"]:
    times = -(-n_samples // audio.shape[1])
    return np.tile(audio, (1, times))[:, :n_samples]


def _rms(audio: Float[np.ndarray, "channels samples"]) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
