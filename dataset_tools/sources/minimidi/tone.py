"""Synthesise a held note of an instrument by additive synthesis, with an envelope per partial."""

import zlib
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import signal

from .instruments import INSTRUMENTS, FilterSweep, Instrument
from .kernels import sum_partials

MAX_LENGTH_S = 5.2
"""Longest held note in seconds: a little more than a clip of 5.12 s."""
HOP = 32
"""Samples between envelope values."""
SOFT_TILT = 0.45
"""Exponent of a softly played key: the partial of frequency ratio ``r`` is weaker by the factor
``r ** -SOFT_TILT``."""
_SINE = np.sin(2 * np.pi * np.arange(2049) / 2048).astype(np.float32)


@lru_cache(maxsize=4096)
def held_note(name: str, pitch: int, sr: int, soft: bool = False) -> Float[np.ndarray, " samples"]:
    """Audio of a key of the named instrument that is held down, at most ``MAX_LENGTH_S`` long.

    ``pitch`` is a MIDI key. ``soft`` gives the duller timbre of a softly played key. Without the
    instrument's noise, the loudest block of 50 ms has an RMS of 0.1 times its gain. Cached; the
    array is read-only.
    """
    instrument = INSTRUMENTS[name]
    rng = np.random.default_rng([zlib.crc32(name.encode()), pitch])
    audio = _sum_of_partials(instrument, pitch, sr, rng, SOFT_TILT * soft)
    audio *= instrument.gain * 0.1 / max(loudest_rms(audio, sr), 1e-9)
    if instrument.noise:
        audio += _instrument_noise(instrument, len(audio), sr, rng)
    audio.flags.writeable = False
    return audio


def loudest_rms(audio: Float[np.ndarray, " samples"], sr: int) -> float:
    """RMS of the loudest of consecutive 50 ms blocks; an incomplete last block is ignored."""
    block = max(1, min(sr // 20, len(audio)))
    blocks = audio[: len(audio) // block * block].reshape(-1, block)
    return float(np.sqrt(np.square(blocks).mean(1).max()))


def _sum_of_partials(
    instrument: Instrument, pitch: int, sr: int, rng: np.random.Generator, tilt: float
) -> Float[np.ndarray, " samples"]:
    """All partials of a note, without noise; amplitudes fall by the factor ``ratio ** -tilt``."""
    length_s = MAX_LENGTH_S if instrument.sustain else min(MAX_LENGTH_S, 7 * instrument.decay_s)
    n_blocks = int(length_s * sr) // HOP
    f0 = 440 * 2 ** ((pitch - 69) / 12)
    ratios, amplitudes = _partial_ratios_and_amplitudes(instrument, f0, sr)
    amplitudes = amplitudes * np.maximum(ratios, 1) ** -tilt
    time_s = np.arange(n_blocks + 1) * (HOP / sr)
    envelopes = _partial_envelopes(instrument, ratios * f0, time_s) * amplitudes[:, None]
    cycles = np.cumsum(f0 / sr * _vibrato_factor(instrument, np.arange(n_blocks * HOP) / sr))
    phases = rng.uniform(0, 1, len(ratios))
    return sum_partials(cycles, ratios, phases, envelopes.astype(np.float32), HOP, _SINE)


def _partial_ratios_and_amplitudes(
    instrument: Instrument, f0: float, sr: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frequency ratios and amplitudes of all audible partials, with those of detuned copies."""
    ratio, amplitude = np.array(instrument.partials).T
    ratio = ratio * np.sqrt(1 + instrument.stiffness * ratio**2)
    amplitude = amplitude / np.sqrt(1 + (ratio * f0 / instrument.cutoff_hz) ** 4)
    cents = np.array(instrument.detune_cents)[:, None]
    ratios = (ratio * 2 ** (cents / 1200)).ravel()
    amplitudes = np.broadcast_to(amplitude, (len(cents), len(amplitude))).ravel()
    audible = (ratios * f0 < min(0.46 * sr, 12_000)) & (amplitudes > 1e-4)
    return ratios[audible], amplitudes[audible]


def _partial_envelopes(
    instrument: Instrument,
    freqs_hz: Float[np.ndarray, " partials"],
    time_s: Float[np.ndarray, " blocks"],
) -> Float[np.ndarray, "partials blocks"]:
    """Level of every partial over time, by attack, decay to a sustain level, tremolo and sweep."""
    khz = freqs_hz[:, None] / 1000
    rise_s = instrument.attack_s / 3 + instrument.bloom_s * khz
    fall_s = instrument.decay_s / (1 + instrument.damping * khz)
    fall = instrument.sustain + (1 - instrument.sustain) * np.exp(-time_s / fall_s)
    tremolo = 1 - instrument.tremolo_depth * (
        0.5 - 0.5 * np.cos(2 * np.pi * instrument.tremolo_hz * time_s)
    )
    envelopes = (1 - np.exp(-time_s / rise_s)) * fall * tremolo
    if instrument.sweep:
        envelopes = envelopes * _filter_sweep_gain(instrument.sweep, freqs_hz, time_s)
    return envelopes


def _filter_sweep_gain(
    sweep: FilterSweep,
    freqs_hz: Float[np.ndarray, " partials"],
    time_s: Float[np.ndarray, " blocks"],
) -> Float[np.ndarray, "partials blocks"]:
    """Gain of a resonant low-pass whose cutoff glides exponentially from start to end."""
    glide = np.exp(-time_s / sweep.time_s)
    cutoff_hz = sweep.end_hz * (sweep.start_hz / sweep.end_hz) ** glide
    x = freqs_hz[:, None] / cutoff_hz
    peak = sweep.resonance * np.exp(-((np.log2(x) / 0.25) ** 2))
    return (1 + peak) / np.sqrt(1 + x**6)


def _vibrato_factor(
    instrument: Instrument, time_s: Float[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"]:
    """Frequency factor around 1 for every sample; the vibrato grows over the first 0.3 s."""
    depth = instrument.vibrato_cents * np.clip(time_s / 0.3, 0, 1)
    return 2 ** (depth * np.sin(2 * np.pi * instrument.vibrato_hz * time_s) / 1200)


def _instrument_noise(
    instrument: Instrument, n_samples: int, sr: int, rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Breath or hammer noise: a band of an octave around ``noise_hz``.

    Its RMS, before its envelope, is ``instrument.noise`` times that of the note, ten times as much
    for noise that decays.
    """
    high_hz = min(instrument.noise_hz * 1.4, 0.45 * sr)
    sos = signal.butter(2, [instrument.noise_hz * 0.7, high_hz], "bandpass", fs=sr, output="sos")
    noise = np.asarray(signal.sosfilt(sos, rng.standard_normal(n_samples)))
    time_s = np.arange(n_samples) / sr
    shape = 1 - np.exp(-3 * time_s / instrument.attack_s)
    if instrument.noise_decay_s:
        shape = np.exp(-time_s / instrument.noise_decay_s)
    level = 0.1 * instrument.gain * instrument.noise / noise.std()
    if instrument.noise_decay_s:
        level *= 10  # a few milliseconds must be louder than a steady breath to be noticed
    return (noise * shape * level).astype(np.float32)
