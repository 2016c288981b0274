"""Crossfade mel images: match their levels, then add powers rather than pixel values.

The phases of the whole song are estimated afterwards, so joints have neither the dips nor the comb
filtering of crossfaded audio.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from ..codec.mel import MelFormat, from_level, to_level

MOST_GAIN_DB = 6.0
"""Largest matching gain in dB; larger differences of level are assumed to be intended."""
GAIN_S = 2.5
"""Seconds at each side of a joint whose levels are compared."""
GAIN_SMOOTHING = 1 / 24
"""Standard deviation of the smoothing, as a share of the rows: it matches registers, not notes."""
QUIET = 1e-5
"""Power relative to the loudest row that is added to all rows: below it, gains go to 0 dB."""


@dataclass(frozen=True)
class MelMagnitudes:
    """Linear magnitudes of a mel image, low rows first."""

    magnitude: Float[np.ndarray, "channels mels frames"]
    """One channel (mono), or two: mid and side, or left and right."""
    balance: Float[np.ndarray, "mels frames"] | None = None
    """Panning of mid and side: 1 right, 128 centre, 255 left; all 0 if it is not recorded."""


def to_mel(image: UInt8[np.ndarray, "rows frames *rgb"], fmt: MelFormat) -> MelMagnitudes:
    """Decode the levels of an image's channels to magnitudes."""
    levels = image[::-1]
    if image.ndim == 2:
        return MelMagnitudes(from_level(levels, fmt)[None])
    channels = (1, 2) if fmt.stereo == "left-right" else (0, 1)
    magnitude = np.stack([from_level(levels[..., i], fmt) for i in channels])
    if fmt.stereo == "left-right":
        return MelMagnitudes(magnitude)
    return MelMagnitudes(magnitude, levels[..., 2].astype(np.float32))


def to_image(mel: MelMagnitudes, fmt: MelFormat) -> UInt8[np.ndarray, "rows frames *rgb"]:
    """Encode magnitudes as an image: the inverse of ``to_mel``, up to rounding and clipping."""
    levels = [to_level(channel, fmt) for channel in mel.magnitude]
    if len(levels) == 1:
        return levels[0][::-1]
    if fmt.stereo == "left-right":
        return np.stack([np.full_like(levels[0], 255), *levels], axis=-1)[::-1]
    assert mel.balance is not None
    return np.stack([*levels, np.rint(mel.balance).astype(np.uint8)], axis=-1)[::-1]


def as_stereo(
    image: UInt8[np.ndarray, "rows frames"], fmt: MelFormat
) -> UInt8[np.ndarray, "rows frames 3"]:
    """Convert a mono image to an RGB stereo image that sounds the same."""
    if fmt.stereo == "left-right":
        return np.stack([np.full_like(image, 255), image, image], axis=-1)
    return np.stack([image, np.zeros_like(image), np.full_like(image, 128)], axis=-1)


def power_at_start_and_end(
    mel: MelMagnitudes, fmt: MelFormat
) -> tuple[Float[np.ndarray, " mels"], Float[np.ndarray, " mels"]]:
    """Mean power of each row, summed over channels, in the first and last ``GAIN_S`` seconds."""
    n = max(1, round(GAIN_S * fmt.sr / fmt.hop_length))
    ends = (mel.magnitude[..., :n], mel.magnitude[..., -n:])
    first, last = (np.square(end).sum(0).mean(1) for end in ends)
    return first, last


def matching_gain_db(
    outgoing: Float[np.ndarray, " mels"], incoming: Float[np.ndarray, " mels"]
) -> Float[np.ndarray, " mels"]:
    """Gain in dB, by row, that brings the incoming clip to the outgoing clip's power.

    Both powers are smoothed over rows first; gains are at most ``MOST_GAIN_DB`` either way.
    """
    from scipy.ndimage import gaussian_filter1d

    smooth = [
        gaussian_filter1d(power, GAIN_SMOOTHING * len(power), mode="nearest")
        for power in (outgoing, incoming)
    ]
    floor = max(QUIET * max(float(p.max()) for p in smooth), np.finfo(np.float32).tiny)
    gain_db = 10 * np.log10((smooth[0] + floor) / (smooth[1] + floor))
    return gain_db.clip(-MOST_GAIN_DB, MOST_GAIN_DB)


def with_gains_at_ends(
    mel: MelMagnitudes,
    at_start_db: Float[np.ndarray, " mels"],
    at_end_db: Float[np.ndarray, " mels"],
) -> MelMagnitudes:
    """Apply one gain at the start and another at the end, each ramped to 0 dB in the middle."""
    place = np.linspace(-1, 1, mel.magnitude.shape[-1])
    gain_db = np.outer(at_start_db, (-place).clip(0)) + np.outer(at_end_db, place.clip(0))
    return MelMagnitudes(mel.magnitude * (10 ** (gain_db / 20)).astype(np.float32), mel.balance)


def mix_overlap(outgoing: MelMagnitudes, incoming: MelMagnitudes) -> MelMagnitudes:
    """Mix two spans of equal width by an equal-power crossfade."""
    place = (np.arange(outgoing.magnitude.shape[-1]) + 0.5) / max(1, outgoing.magnitude.shape[-1])
    share = np.square(np.sin(0.5 * np.pi * place)).astype(np.float32)
    power = (1 - share) * np.square(outgoing.magnitude) + share * np.square(incoming.magnitude)
    balance = None
    if outgoing.balance is not None and incoming.balance is not None:
        balance = (1 - share) * outgoing.balance + share * incoming.balance
    return MelMagnitudes(np.sqrt(power), balance)


def columns(mel: MelMagnitudes, start: int, stop: int) -> MelMagnitudes:
    """The columns from ``start`` up to, but not including, ``stop``."""
    balance = None if mel.balance is None else mel.balance[:, start:stop]
    return MelMagnitudes(mel.magnitude[..., start:stop], balance)
