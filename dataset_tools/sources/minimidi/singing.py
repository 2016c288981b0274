"""Synthesise a voice for a piece by formant synthesis (Klatt 1980).

Singers and choirs follow the notes of the lead, rappers its rhythm; speakers are independent of it.
``sing`` returns the voice alone, to be added to the sound of ``render``.
"""

import numpy as np
from jaxtyping import Float
from scipy import signal

from .articulation import render_singer
from .piece import Piece
from .singers import Voice, random_voice, singers_with_pan
from .vocal_line import vocal_line

VOICE_RMS = 0.1
"""RMS of the voice before its ``gain_db``, without pauses: -20 dBFS, like ``render``'s music."""


def sing(
    piece: Piece, sr: int, seed: int, voice: Voice | None = None
) -> Float[np.ndarray, "2 samples"]:
    """Synthesise float32 stereo of ``voice``, or of the seed's random voice, for a piece.

    Sung notes are the lead's, moved by octaves into the voice's range; a voice speaks if the lead
    does not play. The RMS is -20 dBFS plus the voice's gain, over all samples that are at most
    40 dB below the loudest.
    """
    voice = voice or random_voice(seed)
    n_samples = round(piece.duration_s * sr)
    out = np.zeros((2, n_samples), np.float32)
    for part, (singer, pan) in enumerate(singers_with_pan(voice, seed)):
        syllables = vocal_line(piece, singer, seed)
        rng = np.random.default_rng([2041, seed, part])
        angle = (pan + 1) * np.pi / 4
        mono = render_singer(syllables, singer, n_samples, sr, rng)
        out += np.outer((np.cos(angle), np.sin(angle)), mono).astype(np.float32)
    out = _with_reverberation(out, sr, voice.room)
    power = np.square(out).mean(0)
    audible = power > 1e-4 * power.max()
    rms = np.sqrt(power[audible].mean()) if audible.any() else 1.0
    return out * np.float32(VOICE_RMS * 10 ** (voice.gain_db / 20) / max(rms, 1e-9))


def _with_reverberation(
    dry: Float[np.ndarray, "2 samples"], sr: int, level: float
) -> Float[np.ndarray, "2 samples"]:
    """Add reverberation of half a second; ``level`` is its RMS relative to the dry sound's."""
    rng = np.random.default_rng(2044)
    time_s = np.arange(sr // 2) / sr
    tail = rng.standard_normal((2, len(time_s))) * np.exp(-time_s / 0.13) * (time_s > 0.015)
    tail *= level / np.sqrt(np.square(tail).sum(1, keepdims=True))
    wet = signal.fftconvolve(dry, tail.astype(np.float32), axes=1)[:, : dry.shape[1]]
    return (dry + wet).astype(np.float32)
