"""Formant synthesis of a voice: glottal pulses and noise through five moving formants.

Pulses are the derivative of Klatt & Klatt's (1990) polynomial flow; their step is smoothed over two
samples (PolyBLEP). The formants are resonators of Klatt (1980), with unit gain at 0 Hz. Hiss
bypasses them through a sixth resonator.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .kernels import compiled

BANDWIDTHS_HZ = (75.0, 90.0, 130.0, 220.0, 300.0)
HISS_WIDTH_HZ = 1800.0


@dataclass(frozen=True)
class VoiceCurves:
    """Pitch, levels and formants of a voice, frame by frame."""

    f0: Float[np.ndarray, " frames"]
    """Hz."""
    voicing: Float[np.ndarray, " frames"]
    """Level of the pulses, 1 for a vowel."""
    breath: Float[np.ndarray, " frames"]
    """Level of noise through the formants."""
    hiss: Float[np.ndarray, " frames"]
    """Level of noise that bypasses the formants, around ``hiss_hz``."""
    hiss_hz: Float[np.ndarray, " frames"]
    formants: Float[np.ndarray, "5 frames"]
    """Hz."""


def phonate(
    curves: VoiceCurves,
    noise: Float[np.ndarray, " samples"],
    sr: int,
    hop: int,
    open_quotient: float,
    tilt_hz: float,
    jitter: float,
) -> Float[np.ndarray, " samples"]:
    """Synthesise a voice from its curves, with one frame every ``hop`` samples.

    ``noise`` (RMS 1) is the only source of randomness. Above ``tilt_hz`` the pulses fall by a
    further 6 dB per octave; ``jitter`` is the relative irregularity of the cycles.
    """
    g = curves
    tracks = np.stack([g.f0, g.voicing, g.breath, g.hiss])
    kept = np.minimum(np.stack([*g.formants, g.hiss_hz]), 0.46 * sr)
    widths = np.array([*BANDWIDTHS_HZ, HISS_WIDTH_HZ])[:, None] * np.sqrt(
        np.maximum(1, kept / 3000)
    )
    radius = np.exp(-np.pi * widths / sr)
    angle = 2 * np.pi * kept / sr
    b, c = 2 * radius * np.cos(angle), -np.square(radius)
    a = 1 - b - c
    # The last resonator is a band-pass: unit gain at its centre.
    a[5] = (1 - radius[5]) * np.abs(1 - radius[5] * np.exp(-2j * angle[5]))
    decay = float(np.exp(-2 * np.pi * tilt_hz / sr))
    loudness = float(np.sqrt(sr / 16_000))  # noise of equal RMS is spread over a wider band
    return _phonate_samples(tracks, a, b, c, noise, sr, hop, open_quotient, decay, jitter, loudness)


@compiled
def _phonate_samples(tracks, a, b, c, noise, sr, hop, open_quotient, decay, jitter, loudness):
    """The compiled loop of ``phonate``: one sample at a time through source and resonators."""
    n_samples = len(noise)
    out = np.zeros(n_samples, np.float32)
    one, two = np.zeros(6), np.zeros(6)
    phase, soft, rate, level = 0.0, 0.0, 1.0, 1.0
    for i in range(n_samples):
        frame = i // hop
        share = (i - frame * hop) / hop
        f0 = tracks[0, frame] + share * (tracks[0, frame + 1] - tracks[0, frame])
        voicing = tracks[1, frame] + share * (tracks[1, frame + 1] - tracks[1, frame])
        breath = tracks[2, frame] + share * (tracks[2, frame + 1] - tracks[2, frame])
        hiss = tracks[3, frame] + share * (tracks[3, frame + 1] - tracks[3, frame])
        step = f0 * rate / sr
        phase += step
        if phase >= 1:
            phase -= 1
            rate = 1 + jitter * noise[i]
            level = 1 + 4 * jitter * noise[i - 1]
        pulse = 0.0
        if phase < open_quotient:
            place = phase / open_quotient
            pulse = 2 * place - 3 * place * place
        past = (phase - open_quotient) / step
        if 0 <= past < 1:
            pulse -= 0.5 * (1 - past) * (1 - past)
        elif -1 < past < 0:
            pulse += 0.5 * (1 + past) * (1 + past)
        soft = decay * soft + (1 - decay) * pulse * level
        # Breath noise is louder while the glottis is open.
        gust = 1.0 if phase < open_quotient or voicing < 0.05 else 0.4
        x = voicing * soft + 0.08 * breath * gust * loudness * noise[i]
        for k in range(5):
            y = a[k, frame] * x + b[k, frame] * one[k] + c[k, frame] * two[k]
            two[k], one[k] = one[k], y
            x = y
        y = a[5, frame] * noise[i] + b[5, frame] * one[5] + c[5, frame] * two[5]
        two[5], one[5] = one[5], y
        out[i] = x + 0.45 * hiss * loudness * y
    return out
