"""Sounds that resemble a voice and are none: vibrato, glides, moving filters, hiss and breath."""

import numpy as np
from jaxtyping import Float
from scipy import signal
from scipy.ndimage import gaussian_filter1d

from dataset_tools.sources.minimidi import Piece
from dataset_tools.sources.minimidi.kernels import sum_partials

HOP = 64
_SINE = np.sin(2 * np.pi * np.arange(2049) / 2048).astype(np.float32)


def random_distractor(
    piece: Piece, sr: int, rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """A solo on the piece's lead notes, two solos at once, or a noise texture; RMS 1."""
    kind = rng.random()
    n_samples = round(piece.duration_s * sr)
    if kind < 0.6:
        sound = random_solo(piece, n_samples, sr, rng)
    elif kind < 0.7:
        sound = np.sum([random_solo(piece, n_samples, sr, rng) for _ in range(2)], axis=0)
    else:
        sound = noise_texture(n_samples, sr, rng)
    return (sound / max(float(np.sqrt(np.square(sound).mean())), 1e-9)).astype(np.float32)


def random_solo(
    piece: Piece, n_samples: int, sr: int, rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """The lead's notes on a random instrument, with resonances, vibrato, glide and breath."""
    time_s = np.arange(n_samples // HOP + 2) * (HOP / sr)
    f0, level = _pitch_and_level(piece, time_s, rng)
    count = int(np.clip(0.46 * sr / f0.max(), 1, 40))
    ratios = np.arange(1, count + 1, dtype=float)
    tilt = rng.uniform(0.2, 2.2)
    partials = ratios**-tilt * np.where(ratios % 2 == 0, rng.choice((1.0, 0.6, 0.1)), 1.0)
    partials = partials * np.exp(rng.normal(0, 0.4, count))
    gains = partials[:, None] * _resonance_gain(ratios[:, None] * f0, time_s, rng)
    # Soft notes have weaker overtones, as of bows, reeds and lips.
    gains = gains * level ** (1 + rng.uniform(0, 0.15) * (ratios[:, None] - 1))
    cycles = np.cumsum(np.repeat(f0, HOP)[: (len(time_s) - 1) * HOP] / sr)
    phases = rng.uniform(0, 1, count)
    sound = sum_partials(cycles, ratios, phases, gains.astype(np.float32), HOP, _SINE)[:n_samples]
    if rng.random() < 0.4:
        loud = np.repeat(level, HOP)[:n_samples]
        breath = _band_noise(n_samples, sr, float(rng.uniform(500, 5000)), 1.0, rng) * loud
        sound = sound + breath * np.float32(rng.uniform(0.01, 0.3) * np.abs(sound).max())
    return sound


def _pitch_and_level(
    piece: Piece, time_s: Float[np.ndarray, " frames"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, " frames"], Float[np.ndarray, " frames"]]:
    """Pitch (Hz) and level (0..1) of the lead's notes, with random attack, decay and vibrato."""
    notes = [note for note in piece.notes if note.instrument == piece.instruments[0]]
    shift = float(rng.integers(-24, 13))
    midi, level = np.full(len(time_s), 60.0 + shift), np.zeros(len(time_s))
    attack_s, fall_s = np.exp(rng.uniform(np.log((0.004, 0.15)), np.log((0.2, 3.0))))
    late_s = 0.0 if rng.random() < 0.5 else float(rng.uniform(0.05, 0.35))
    vibrato_st, rate_hz = rng.choice((0.0, 0.15, 0.4, 0.8, 1.5)), rng.uniform(3.5, 8.0)
    wave = np.sin(2 * np.pi * rate_hz * time_s)
    for note in notes:
        since_s = np.maximum(time_s - note.start_s, -1e-3)
        held = (since_s >= 0) & (since_s < note.duration_s + 0.05)
        midi[since_s >= 0] = note.pitch + shift
        shape = (1 - np.exp(-since_s / attack_s)) * (0.15 + 0.85 * np.exp(-since_s / fall_s))
        level[held] = shape[held] * note.velocity / 100
        midi[held] += vibrato_st * np.clip((since_s[held] - late_s) / 0.2, 0, 1) * wave[held]
    glide = float(rng.choice((0.0, 0.01, 0.04, 0.12))) / (time_s[1] - time_s[0])
    midi = gaussian_filter1d(midi, glide) if glide else midi
    f0 = 440 * 2 ** ((np.clip(midi, 28, 100) - 69) / 12)
    return f0, np.clip(gaussian_filter1d(level, 1.0), 1e-3, 1)


def _resonance_gain(
    hz: Float[np.ndarray, "partials frames"],
    time_s: Float[np.ndarray, " frames"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "partials frames"]:
    """Gain of up to three resonances; at random one sweeps as a wah pedal's or a synthesiser's."""
    gain = np.ones(hz.shape)
    moves = rng.random() < 0.3
    for i in range(int(rng.integers(0, 4))):
        centre = float(np.exp(rng.uniform(np.log(250), np.log(4000))))
        octaves = np.zeros(len(time_s))
        if moves and i == 0:
            sweep = np.sin(2 * np.pi * rng.uniform(0.2, 4) * time_s + rng.uniform(0, 6))
            octaves = rng.uniform(0.3, 1.3) * sweep
        width = rng.uniform(0.1, 0.5)
        near = np.exp(-np.square((np.log2(hz / centre) - octaves) / width))
        gain = gain * (1 + rng.uniform(1, 8) * near)
    return gain


def noise_texture(
    n_samples: int, sr: int, rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Band-passed noise that swells or comes in bursts, like wind, surf, shakers or claps."""
    noise = _band_noise(
        n_samples, sr, float(np.exp(rng.uniform(np.log(200), np.log(6000)))), 1.0, rng
    )
    time_s = np.arange(n_samples) / sr
    if rng.random() < 0.35:
        slow = gaussian_filter1d(rng.standard_normal(n_samples // 160 + 2), rng.uniform(10, 80))
        swell = np.interp(time_s, np.arange(len(slow)) * 160 / sr, slow / np.abs(slow).max())
        return noise * (1.1 + swell)
    level = np.zeros(n_samples)
    length_s = float(rng.uniform(0.02, 0.2))
    if rng.random() < 0.5:
        starts = np.arange(0, n_samples / sr, 1 / rng.uniform(2, 8))
    else:
        starts = rng.uniform(0, n_samples / sr, int(rng.integers(4, 20)))
    for start_s in starts:
        since_s = time_s - start_s
        level += (since_s > 0) * np.exp(-since_s.clip(0) / length_s) * rng.uniform(0.3, 1)
    return noise * level


def _band_noise(
    n_samples: int, sr: int, centre_hz: float, octaves: float, rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Noise of unit RMS in a band around ``centre_hz``."""
    low, high = centre_hz * 2 ** (-octaves / 2), min(centre_hz * 2 ** (octaves / 2), 0.47 * sr)
    sos = signal.butter(2, [low, high], "bandpass", fs=sr, output="sos")
    noise = np.asarray(signal.sosfilt(sos, rng.standard_normal(n_samples)))
    return noise / noise.std()
