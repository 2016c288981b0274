"""Mel images joined in the mel domain: at matched levels, at equal power.

Nothing is averaged in the picture: power is added up, and phases are found only afterwards, for
the whole piece at once. So a joint neither dips nor combs, as crossfaded sound does.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from ..codec.mel import MelFormat, from_level, to_level

MOST_GAIN_DB = 6.0
"""Levels further apart are meant."""
GAIN_S = 2.5
"""Length of sound at each side of a joint whose levels are compared."""
GAIN_SMOOTHING = 1 / 24
"""Of the rows: levels of registers are matched, not of notes."""
QUIET = 1e-5
"""Power, beside the loudest row's, below which levels are not matched."""


@dataclass(frozen=True)
class Layers:
    """A mel image's contents, low rows first, on scales that can be added up."""

    magnitude: Float[np.ndarray, "layers mels frames"]
    """Mono; mid and side; or left and right."""
    balance: Float[np.ndarray, "mels frames"] | None = None
    """Of mid and side: 0 right, 128 centre, 255 left."""


def to_layers(image: UInt8[np.ndarray, "rows frames *rgb"], fmt: MelFormat) -> Layers:
    """Magnitudes of an image's channels."""
    levels = image[::-1]
    if image.ndim == 2:
        return Layers(from_level(levels, fmt)[None])
    channels = (1, 2) if fmt.stereo == "left-right" else (0, 1)
    magnitude = np.stack([from_level(levels[..., i], fmt) for i in channels])
    if fmt.stereo == "left-right":
        return Layers(magnitude)
    return Layers(magnitude, levels[..., 2].astype(np.float32))


def to_image(layers: Layers, fmt: MelFormat) -> UInt8[np.ndarray, "rows frames *rgb"]:
    """The image of magnitudes; the inverse of ``to_layers`` up to rounding."""
    levels = [to_level(layer, fmt) for layer in layers.magnitude]
    if len(levels) == 1:
        return levels[0][::-1]
    if fmt.stereo == "left-right":
        return np.stack([np.full_like(levels[0], 255), *levels], axis=-1)[::-1]
    assert layers.balance is not None
    return np.stack([*levels, np.rint(layers.balance).astype(np.uint8)], axis=-1)[::-1]


def as_stereo(
    image: UInt8[np.ndarray, "rows frames"], fmt: MelFormat
) -> UInt8[np.ndarray, "rows frames 3"]:
    """A grey image as RGB that sounds the same."""
    if fmt.stereo == "left-right":
        return np.stack([np.full_like(image, 255), image, image], axis=-1)
    return np.stack([image, np.zeros_like(image), np.full_like(image, 128)], axis=-1)


def power_at_ends(
    layers: Layers, fmt: MelFormat
) -> tuple[Float[np.ndarray, " mels"], Float[np.ndarray, " mels"]]:
    """Mean power of each row in the first and the last ``GAIN_S``."""
    n = max(1, round(GAIN_S * fmt.sr / fmt.hop_length))
    ends = (layers.magnitude[..., :n], layers.magnitude[..., -n:])
    first, last = (np.square(end).sum(0).mean(1) for end in ends)
    return first, last


def gain_between(
    end: Float[np.ndarray, " mels"], start: Float[np.ndarray, " mels"]
) -> Float[np.ndarray, " mels"]:
    """Decibels that a clip's start lacks beside the end of the one before, smooth over rows."""
    from scipy.ndimage import gaussian_filter1d

    smooth = [
        gaussian_filter1d(power, GAIN_SMOOTHING * len(power), mode="nearest")
        for power in (end, start)
    ]
    floor = max(QUIET * max(float(p.max()) for p in smooth), np.finfo(np.float32).tiny)
    gain_db = 10 * np.log10((smooth[0] + floor) / (smooth[1] + floor))
    return gain_db.clip(-MOST_GAIN_DB, MOST_GAIN_DB)


def levelled(
    layers: Layers, at_start_db: Float[np.ndarray, " mels"], at_end_db: Float[np.ndarray, " mels"]
) -> Layers:
    """The clip with the one gain at its start, the other at its end, and none in its middle."""
    place = np.linspace(-1, 1, layers.magnitude.shape[-1])
    gain_db = np.outer(at_start_db, (-place).clip(0)) + np.outer(at_end_db, place.clip(0))
    return Layers(layers.magnitude * (10 ** (gain_db / 20)).astype(np.float32), layers.balance)


def crossfade(end: Layers, start: Layers) -> Layers:
    """Both at once, the first giving way at equal power; of equal width."""
    place = (np.arange(end.magnitude.shape[-1]) + 0.5) / max(1, end.magnitude.shape[-1])
    share = np.square(np.sin(0.5 * np.pi * place)).astype(np.float32)
    power = (1 - share) * np.square(end.magnitude) + share * np.square(start.magnitude)
    balance = None
    if end.balance is not None and start.balance is not None:
        balance = (1 - share) * end.balance + share * start.balance
    return Layers(np.sqrt(power), balance)


def part(layers: Layers, start: int, stop: int) -> Layers:
    """Columns ``start`` to ``stop``."""
    balance = None if layers.balance is None else layers.balance[:, start:stop]
    return Layers(layers.magnitude[..., start:stop], balance)
