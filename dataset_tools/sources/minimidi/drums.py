"""Synthesise drums: every hit is made of noise and gliding sines."""

import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import signal

KICK, RIM, SNARE, CLAP, CLOSED_HAT, OPEN_HAT, RIDE, SHAKER = 36, 37, 38, 39, 42, 46, 51, 70
KITS = ("acoustic drums", "electronic drums", "lo-fi drums", "chip drums")
_PEAK = {
    KICK: 0.42,
    RIM: 0.16,
    SNARE: 0.3,
    CLAP: 0.28,
    CLOSED_HAT: 0.11,
    OPEN_HAT: 0.12,
    RIDE: 0.12,
    SHAKER: 0.09,
}
_PAN = {CLOSED_HAT: 0.25, OPEN_HAT: 0.25, RIDE: -0.3, SHAKER: -0.25, RIM: 0.15}
Wave = Float[np.ndarray, " samples"]


@lru_cache(maxsize=256)
def drum_hit(kit: str, pitch: int, sr: int) -> Float[np.ndarray, " samples"]:
    """One stroke at full velocity, peak as in ``_PEAK``. Cached: callers must not write into it."""
    rng = np.random.default_rng([zlib.crc32(kit.encode()), pitch])
    time_s = np.arange(int(0.6 * sr)) / sr
    wave = _SOUNDS[kit](pitch, time_s, rng, sr)
    crest = 0.4 if kit == "chip drums" else 1.0  # square waves are loud for their peak
    wave = (wave * (crest * _PEAK[pitch] / np.abs(wave).max())).astype(np.float32)
    wave.flags.writeable = False
    return wave


def drum_pan(pitch: int) -> float:
    """Position in the stereo image, -1 (left) to 1 (right)."""
    return _PAN.get(pitch, 0.0)


def _decay_curve(time_s: Wave, tau_s: float) -> Wave:
    return np.exp(-time_s / tau_s)


def _gliding_sine(
    time_s: Wave, low_hz: float, high_hz: float, glide_s: float, tau_s: float
) -> Wave:
    """Sine that glides from ``high_hz`` down to ``low_hz`` and decays."""
    turns = low_hz * time_s + (high_hz - low_hz) * glide_s * (1 - _decay_curve(time_s, glide_s))
    return np.sin(2 * np.pi * turns) * _decay_curve(time_s, tau_s)


def _band_noise(
    time_s: Wave, rng: np.random.Generator, sr: int, low_hz: float, high_hz: float
) -> Wave:
    """White noise between two frequencies, RMS 1."""
    sos = signal.butter(2, [low_hz, min(high_hz, 0.47 * sr)], "bandpass", fs=sr, output="sos")
    noise = np.asarray(signal.sosfilt(sos, rng.standard_normal(len(time_s))))
    return noise / noise.std()


def _acoustic_hit(pitch: int, t: Wave, rng: np.random.Generator, sr: int) -> Wave:
    """A hit of the acoustic kit."""
    if pitch == KICK:
        return _gliding_sine(t, 58.0, 150.0, 0.02, 0.11) + 0.05 * _band_noise(
            t, rng, sr, 1500.0, 4000.0
        ) * _decay_curve(t, 0.006)
    if pitch == SNARE:
        return _gliding_sine(t, 185.0, 220.0, 0.02, 0.07) + 0.35 * _band_noise(
            t, rng, sr, 1200.0, 9000.0
        ) * _decay_curve(t, 0.085)
    if pitch == RIM:
        return _gliding_sine(t, 820.0, 900.0, 0.01, 0.018) + 0.2 * _band_noise(
            t, rng, sr, 2000.0, 6000.0
        ) * _decay_curve(t, 0.008)
    if pitch == RIDE:
        bell = sum(np.sin(2 * np.pi * f * t) for f in (3150, 4270, 5480, 7350))
        return 0.25 * bell * _decay_curve(t, 0.16) + 0.25 * _band_noise(
            t, rng, sr, 5000.0, 10_000.0
        ) * _decay_curve(t, 0.13)
    tau_s = {CLOSED_HAT: 0.028, OPEN_HAT: 0.17, SHAKER: 0.03, CLAP: 0.06}[pitch]
    low_hz = 4500.0 if pitch == SHAKER else 1000.0 if pitch == CLAP else 6000.0
    soft = np.clip(t / 0.02, 0, 1) if pitch == SHAKER else 1.0
    return _band_noise(t, rng, sr, low_hz, 10_000.0) * _decay_curve(t, tau_s) * soft


def _electronic_hit(pitch: int, t: Wave, rng: np.random.Generator, sr: int) -> Wave:
    """A hit of the electronic kit."""
    if pitch == KICK:
        return _gliding_sine(t, 47.0, 320.0, 0.022, 0.2)
    if pitch == SNARE:
        return 0.5 * _gliding_sine(t, 240.0, 330.0, 0.015, 0.05) + 0.4 * _band_noise(
            t, rng, sr, 1800.0, 10_000.0
        ) * _decay_curve(t, 0.13)
    if pitch == CLAP:
        bursts = sum(
            _decay_curve(np.maximum(t - d, 0), 0.007) * (t >= d) for d in (0, 0.011, 0.022)
        )
        return _band_noise(t, rng, sr, 900.0, 3000.0) * (bursts + 0.6 * _decay_curve(t, 0.09))
    if pitch == RIM:
        return np.sign(_gliding_sine(t, 1700.0, 1700.0, 0.01, 0.012)) * _decay_curve(t, 0.012)
    tau_s = {CLOSED_HAT: 0.018, OPEN_HAT: 0.12, RIDE: 0.2, SHAKER: 0.02}[pitch]
    metal = sum(np.sign(np.sin(2 * np.pi * f * t)) for f in (4140, 5560, 7230, 8110))
    return (0.3 * metal + _band_noise(t, rng, sr, 8000.0, 10_000.0)) * _decay_curve(t, tau_s)


def _lofi_hit(pitch: int, t: Wave, rng: np.random.Generator, sr: int) -> Wave:
    """Acoustic kit made dull, short and distorted."""
    sos = signal.butter(2, 3200, fs=sr, output="sos")
    dull = np.asarray(signal.sosfilt(sos, _acoustic_hit(pitch, t, rng, sr)))
    dull = dull / np.abs(dull).max()
    return np.tanh(2.5 * dull) * _decay_curve(t, 0.09)


def _chip_hit(pitch: int, t: Wave, rng: np.random.Generator, sr: int) -> Wave:
    """Noise of a sound chip: random levels held for some samples; the kick is a square wave."""
    if pitch == KICK:
        return np.sign(_gliding_sine(t, 45.0, 420.0, 0.025, 1.0)) * _decay_curve(t, 0.05)
    rate_hz = {SNARE: 5500, CLAP: 4000, OPEN_HAT: 11_000, CLOSED_HAT: 11_000}.get(pitch, 8000)
    held = np.sign(rng.standard_normal(int(t[-1] * rate_hz) + 1))
    tau_s = {SNARE: 0.06, CLAP: 0.08, OPEN_HAT: 0.07}.get(pitch, 0.015)
    return held[(t * rate_hz).astype(int)] * _decay_curve(t, tau_s)


_SOUNDS: dict[str, Callable[[int, Wave, np.random.Generator, int], Wave]] = dict(
    zip(KITS, (_acoustic_hit, _electronic_hit, _lofi_hit, _chip_hit), strict=True)
)
