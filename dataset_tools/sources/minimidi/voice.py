"""A synthetic singer: glottal pulses and noise through moving formants (Klatt 1980, source-filter).

``sing`` gives a piece a voice that follows its lead, or speaks over it; mix it over ``render``.
"""

import numpy as np
from jaxtyping import Float
from scipy import signal

from .articulation import utter
from .piece import Piece
from .singers import Voice, draw_voice, ensemble
from .vocal_line import vocal_line

RMS = 0.1
"""-20 dBFS where the voice sounds, as ``render``'s music; ``gain_db`` is on top."""


def sing(
    piece: Piece, sr: int, seed: int, voice: Voice | None = None
) -> Float[np.ndarray, "2 samples"]:
    """Float32 voice over a piece, ``voice`` or the seed's; silent where it rests.

    RMS where it sounds is -20 dBFS plus the voice's gain. Songs follow the piece's lead by
    octaves into the voice's range; a piece whose lead does not play is spoken over.
    """
    voice = voice or draw_voice(seed)
    n_samples = round(piece.duration_s * sr)
    out = np.zeros((2, n_samples), np.float32)
    for part, (singer, pan) in enumerate(ensemble(voice, seed)):
        words = vocal_line(piece, singer, seed)
        rng = np.random.default_rng([2041, seed, part])
        angle = (pan + 1) * np.pi / 4
        alone = utter(words, singer, n_samples, sr, rng)
        out += np.outer((np.cos(angle), np.sin(angle)), alone).astype(np.float32)
    out = _in_room(out, sr, voice.room)
    loud = np.square(out).mean(0)
    sounding = loud > 1e-4 * loud.max()
    rms = np.sqrt(loud[sounding].mean()) if sounding.any() else 1.0
    return out * np.float32(RMS * 10 ** (voice.gain_db / 20) / max(rms, 1e-9))


def _in_room(
    dry: Float[np.ndarray, "2 samples"], sr: int, level: float
) -> Float[np.ndarray, "2 samples"]:
    """The voice and its reverberation of half a second."""
    rng = np.random.default_rng(2044)
    time_s = np.arange(sr // 2) / sr
    tail = rng.standard_normal((2, len(time_s))) * np.exp(-time_s / 0.13) * (time_s > 0.015)
    tail *= level / np.sqrt(np.square(tail).sum(1, keepdims=True))
    wet = signal.fftconvolve(dry, tail.astype(np.float32), axes=1)[:, : dry.shape[1]]
    return (dry + wet).astype(np.float32)
