"""Effects: chorus, wow of a tape, and noise of a vinyl record."""

import numpy as np
from jaxtyping import Float

CHORUS_DELAY_S, CHORUS_SWING_S, CHORUS_HZ = 0.016, 0.003, 0.7
WOW_HZ = 0.9
CRACKLES_PER_S = 9.0


def chorus_copy(
    sound: Float[np.ndarray, "2 samples"], sr: int, level: float
) -> Float[np.ndarray, "2 samples"]:
    """The wet part of a chorus: a copy with a delay that swings by 16 ± 3 ms.

    The left channel's swing is opposite to the right's.
    """
    time_s = np.arange(sound.shape[1]) / sr
    swing = np.sin(2 * np.pi * CHORUS_HZ * time_s)
    delays_s = CHORUS_DELAY_S + CHORUS_SWING_S * np.stack([swing, -swing])
    return level * _interpolate_at(sound, (time_s - delays_s) * sr)


def tape_wow(
    sound: Float[np.ndarray, "2 samples"], sr: int, depth: float, seed: int
) -> Float[np.ndarray, "2 samples"]:
    """Sound from a tape whose speed varies by up to ``depth`` (a ratio), 0.9 times a second."""
    phase = np.random.default_rng([2028, seed]).uniform(0, 2 * np.pi)
    time_s = np.arange(sound.shape[1]) / sr
    lag_s = depth / (2 * np.pi * WOW_HZ) * (1 + np.sin(2 * np.pi * WOW_HZ * time_s + phase))
    return _interpolate_at(sound, np.broadcast_to((time_s - lag_s) * sr, sound.shape))


def record_noise(n_samples: int, sr: int, seed: int) -> Float[np.ndarray, " samples"]:
    """Mono vinyl noise: hiss of RMS 1 with sparse clicks of 5 to 20."""
    rng = np.random.default_rng([2029, seed])
    noise = rng.standard_normal(n_samples)
    count = rng.poisson(CRACKLES_PER_S * n_samples / sr)
    places = rng.integers(0, max(n_samples - 1, 1), count)
    noise[places] += rng.choice((-1, 1), count) * rng.uniform(5, 20, count)
    return noise.astype(np.float32)


def _interpolate_at(
    sound: Float[np.ndarray, "2 samples"], places: Float[np.ndarray, "2 samples"]
) -> Float[np.ndarray, "2 samples"]:
    """Read both channels at fractional positions, linearly interpolated; silence before 0."""
    grid = np.arange(sound.shape[1])
    sides = [np.interp(at, grid, side, left=0.0) for at, side in zip(places, sound, strict=True)]
    return np.stack(sides).astype(np.float32)
