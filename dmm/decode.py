"""Mel image to waveform: levels, mel inverse, a first phase, ADMM; the way back of ``dmm.mel``."""

from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from .mel import MelFormat, from_level, mel_filterbank, stft
from .mel_inverse import linear_magnitude
from .pghi import first_phase
from .phase import retrieve_phase

Quality = Literal["fast", "default", "best"]
ITERATIONS: dict[str, int] = {"fast": 8, "default": 32, "best": 128}
"""ADMM steps; of everything tried (FFT length, window, start) only these buy quality evenly."""
KNEE = 0.9
"""Sample value from which peaks are rounded off."""


def decode(
    image: UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"],
    fmt: MelFormat,
    quality: Quality = "default",
) -> Float[np.ndarray, "channels samples"]:
    """Sound of a mel image of any width: (1, n) from grey, (2, n) from RGB, n = frames * hop.

    Never beyond -1..1: peaks over 0.9, which phase retrieval raises by up to a quarter, are
    rounded off, because turning the clip down would change its loudness. The same image gives the
    same samples, and a silent one silence. ValueError for a wrong row count or quality.
    """
    check_image(image, fmt, quality)
    if image.shape[1] == 0:
        return np.zeros((1 if image.ndim == 2 else 2, 0), np.float32)
    levels = image[::-1]
    if image.ndim == 2:
        channels = [_decode_channel(levels, fmt, quality)]
    elif fmt.stereo == "left-right":
        channels = [_decode_channel(levels[..., i], fmt, quality) for i in (1, 2)]
    else:
        channels = _decode_mid_side(levels, fmt, quality)
    return soft_limit(np.stack(channels))


def check_image(image: np.ndarray, fmt: MelFormat, quality: str) -> None:
    """Refuse what cannot be decoded with a ValueError."""
    if quality not in ITERATIONS:
        raise ValueError(f"no quality {quality!r}; known: {', '.join(ITERATIONS)}")
    if image.shape[0] != fmt.n_mels:
        raise ValueError(f"{image.shape[0]} rows; format {fmt.name!r} has {fmt.n_mels}")
    if image.dtype != np.uint8:
        raise ValueError(f"an 8-bit image is needed; got {image.dtype}")


def soft_limit(audio: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Leave samples up to ``KNEE`` alone and bend the rest towards 1, which none passes."""
    over = np.abs(audio) > KNEE
    if not over.any():
        return audio
    bent = KNEE + (1 - KNEE) * np.tanh((np.abs(audio[over]) - KNEE) / (1 - KNEE))
    limited = audio.copy()
    limited[over] = np.copysign(bent, audio[over])
    return limited


def _decode_channel(
    levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat, quality: Quality
) -> Float[np.ndarray, " samples"]:
    magnitude = linear_magnitude(from_level(levels, fmt), fmt)
    start = first_phase(magnitude, fmt.hop_length, fmt.win_length, fmt.n_fft)
    return retrieve_phase(magnitude, start, fmt, ITERATIONS[quality])


def _decode_mid_side(
    levels: UInt8[np.ndarray, "mels frames 3"], fmt: MelFormat, quality: Quality
) -> list[Float[np.ndarray, " samples"]]:
    """Left and right; the louder of mid and side is decoded as if alone and leads the other.

    A source that sits in one place has mid and side in phase, or in opposite phase if it sits on
    the right: so the second one starts from the first one's phase, its sign from the balance.
    """
    mid, side = (linear_magnitude(from_level(levels[..., i], fmt), fmt) for i in (0, 1))
    side_leads = np.linalg.norm(side) > np.linalg.norm(mid)
    lead, follow = (side, mid) if side_leads else (mid, side)
    start = first_phase(lead, fmt.hop_length, fmt.win_length, fmt.n_fft)
    leader = retrieve_phase(lead, start, fmt, ITERATIONS[quality])
    start = np.exp(1j * np.angle(stft(leader, fmt))) * _side_sign(levels[..., 2], fmt)
    follower = retrieve_phase(follow, start, fmt, ITERATIONS[quality])
    mid, side = (follower, leader) if side_leads else (leader, follower)
    return [mid + side, mid - side]


def _side_sign(
    balance: UInt8[np.ndarray, "mels frames"], fmt: MelFormat
) -> Float[np.ndarray, "frames bins"]:
    """-1 where the right channel is louder, else 1; a balance of 0 throughout says nothing."""
    if not balance.any():
        return np.ones((balance.shape[1], fmt.n_fft // 2 + 1), np.float32)
    lean = mel_filterbank(fmt).T @ (balance.astype(np.float32) - 128)
    return np.where(lean.T < 0, np.float32(-1), np.float32(1))
