"""The embedder ``mel-stats``: a hand-built descriptor of timbre, texture and rhythm density.

It has no weights. It describes spectral balance, the variation of each band's level and the rates
of its pulsation, but not melody, harmony or meaning. Its scores are not comparable with those of
any other embedder.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.codec.mel import MelFormat, mel_magnitude
from dmm.embedders import EmbedderConfig, Identity, backend
from dmm.errors import InputError

from ..clip_audio import read_mono

FORMAT = MelFormat(
    name="mel-stats",
    sr=22050,
    hop_length=512,
    win_length=1024,
    n_fft=1024,
    n_mels=64,
    n_frames=1,
    fmin=30.0,
    fmax=11000.0,
)
FRAME_RATE_HZ = FORMAT.sr / FORMAT.hop_length
FLOOR_DB = 80.0
"""Range of levels below the clip's loudest mel value."""
SILENCE = 1e-6
"""A clip with a loudest mel magnitude below -120 dB is silent: all its levels are -80."""

# Statistics of an ordinary clip in dB: round numbers near those of 200 clips of mostly orchestral
# game music outside our datasets. They are constants, never fitted to the clips that are scored.
MEAN_DB = np.linspace(-20.0, -65.0, FORMAT.n_mels)
"""Mean level of each band: music is softer at high frequencies."""
MEAN_SPREAD_DB, STD_DB, STD_SPREAD_DB = 9.0, 6.0, 3.0
FLUX_DB, FLUX_SPREAD_DB = 2.7, 1.0
PULSE_EDGES_HZ = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
PULSE_GROUPS = 8
"""Wide bands, each the mean of neighbouring bands, for the pulse spectrum."""
PULSE_DB, PULSE_SPREAD_DB = 1.3, 1.1


class MelStats:
    """The ``mel-stats`` embedder: 232 numbers a clip, normalised to unit length."""

    name = "mel-stats"
    identity = Identity("mel-stats", None, backend("numpy"), "whole", "fp32", code=1)
    version = identity.version
    dim = 3 * FORMAT.n_mels + PULSE_GROUPS * (len(PULSE_EDGES_HZ) - 1)
    protocol = "22.05 kHz mono, whole clip, level relative to the clip's loudest moment"

    def embed(self, audio_files: Sequence[Path]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; InputError names the first file that cannot be read."""
        rows = [mel_stats_descriptor(read_mono(path, FORMAT.sr)) for path in audio_files]
        return np.stack(rows).astype(np.float32)


def load_mel_stats(weights: Path | None = None, config: EmbedderConfig | None = None) -> MelStats:
    """The embedder; InputError if weights are given, or another protocol, precision or device."""
    if weights is not None:
        raise InputError(f"{weights}: mel-stats has no weights; leave out --weights")
    if config:
        config.refuse_non_defaults(MelStats.name)
    return MelStats()


def mel_stats_descriptor(audio: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " dim"]:
    """Descriptor of 22.05 kHz mono audio: unit length, independent of gain, defined for silence.

    Four blocks of equal weight, each standardised by the constants above: mean, standard
    deviation and mean absolute change per frame of each band's level, and the pulse spectrum.
    """
    levels = relative_levels_db(audio)
    change = (
        np.abs(np.diff(levels, axis=1)).mean(1) if levels.shape[1] > 1 else np.zeros(len(levels))
    )
    blocks = [
        (levels.mean(1) - MEAN_DB) / MEAN_SPREAD_DB,
        (levels.std(1) - STD_DB) / STD_SPREAD_DB,
        (change - FLUX_DB) / FLUX_SPREAD_DB,
        (pulse_spectrum_db(levels).ravel() - PULSE_DB) / PULSE_SPREAD_DB,
    ]
    row = np.concatenate([block / np.sqrt(len(block)) for block in blocks])
    return row / np.linalg.norm(row)


def relative_levels_db(audio: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "mels frames"]:
    """Log-mel levels, -80..0 dB relative to the clip's loudest mel value."""
    hops = max(1, -(-len(audio) // FORMAT.hop_length))
    padded = np.pad(audio, (0, hops * FORMAT.hop_length - len(audio)))
    mel = mel_magnitude(padded, FORMAT).astype(np.float64)
    peak = mel.max()
    if peak < SILENCE:
        return np.full(mel.shape, -FLOOR_DB)
    return 20 * np.log10(np.maximum(mel / peak, 10 ** (-FLOOR_DB / 20)))


def pulse_spectrum_db(
    levels: Float[np.ndarray, "mels frames"],
) -> Float[np.ndarray, "groups rates"]:
    """RMS variation of the level (dB) in octaves of modulation rate, 0.5..16 Hz, for 8 wide bands.

    A slow pad has low values, a drum loop high ones at 2-8 Hz. Each value is a sum of the power
    spectrum over an octave (Parseval).
    """
    wide = levels.reshape(PULSE_GROUPS, -1, levels.shape[1]).mean(1)
    swing = (wide - wide.mean(1, keepdims=True)) * np.hanning(levels.shape[1] + 2)[1:-1]
    n_fft = max(512, 1 << (levels.shape[1] - 1).bit_length())
    power = np.square(np.abs(np.fft.rfft(swing, n_fft))) * 2 / n_fft
    power /= 3 / 8 * levels.shape[1]  # the Hann window keeps 3/8 of the power
    rates_hz = np.fft.rfftfreq(n_fft, 1 / FRAME_RATE_HZ)
    which = np.digitize(rates_hz, PULSE_EDGES_HZ)
    octaves = range(1, len(PULSE_EDGES_HZ))
    return np.sqrt(np.stack([power[:, which == k].sum(1) for k in octaves], axis=1))
