"""Read an audio file as the image that sampling starts from, instead of from noise alone.

Sampling starts at the step whose noise level fits ``strength``. With a mask, latents outside the
span are reset at every step, and the final image takes those columns from the sound itself.
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..codec.mel import MelFormat, encode
from ..errors import InputError, PresetError
from ..files import sha256_file
from ..sound.audio import stream_audio
from .init_image import InitImage

FADE_S = 0.04
"""Fade at each end of the span, inside it."""
DEFAULT_STRENGTH = 0.6
"""Without a mask; with one, all of the span is replaced."""


def read_init_audio(
    path: Path,
    fmt: MelFormat,
    stereo: bool,
    strength: float | None = None,
    mask_s: tuple[float, float] | None = None,
    start_s: float = 0.0,
) -> InitImage:
    """Encode one clip's length of an audio file from ``start_s`` on, padded with silence.

    ``strength`` is the share of the steps that are run: 0.6 by default, 1 with a mask. ``mask_s``
    counts from the clip's beginning. InputError for a file that cannot be read or is silent there;
    PresetError for a strength or span out of range.
    """
    if strength is None:
        strength = 1.0 if mask_s else DEFAULT_STRENGTH
    if not 0 < strength <= 1:
        raise PresetError(f"--strength {strength:g}: over 0 and up to 1, which keeps nothing")
    span, fade = _mask_columns_and_fade(mask_s, fmt) if mask_s else (None, 0)
    audio = _read_excerpt(path, fmt, 2 if stereo else 1, start_s)
    if not audio.any():
        raise InputError(f"{path}: silent from {start_s:g} s on; begin elsewhere with --init-start")
    return InitImage(encode(audio, fmt), sha256_file(path), start_s, strength, span, fade)


def parse_span(text: str) -> tuple[float, float]:
    """Parse START-END in seconds; PresetError for anything else.

    >>> parse_span("1.5-3")
    (1.5, 3.0)
    """
    invalid = PresetError(f"--mask {text}: write START-END in seconds, as 1.5-3")
    first, _, last = text.partition("-")
    try:
        span = float(first), float(last)
    except ValueError as error:
        raise invalid from error
    if not all(map(math.isfinite, span)):
        raise invalid
    return span


def _mask_columns_and_fade(
    mask_s: tuple[float, float], fmt: MelFormat
) -> tuple[tuple[int, int], int]:
    """Image columns of a span, and those of its fade."""
    first, end = (round(second * fmt.sr / fmt.hop_length) for second in mask_s)
    if not 0 <= first < end <= fmt.n_frames:
        raise PresetError(
            f"--mask {mask_s[0]:g}-{mask_s[1]:g}: a span lies within the clip's seconds, "
            f"0-{fmt.clip_duration_s:.4g}, and ends after it begins"
        )
    fade = min(round(FADE_S * fmt.sr / fmt.hop_length), (end - first) // 2)
    return (first, end), fade


def _read_excerpt(
    path: Path, fmt: MelFormat, channels: int, start_s: float
) -> Float[np.ndarray, "channels samples"]:
    """One clip's samples from ``start_s`` on; a long file is read no further than needed."""
    first = round(start_s * fmt.sr)
    blocks, length = [], 0
    for block in stream_audio(path, fmt.sr, channels):
        blocks.append(block)
        length += block.shape[1]
        if length >= first + fmt.clip_samples:
            break
    if length <= first:
        raise InputError(f"{path}: ends after {length / fmt.sr:.2f} s; lower --init-start")
    audio = np.concatenate(blocks, axis=1)[:, first : first + fmt.clip_samples]
    return np.pad(audio, ((0, 0), (0, fmt.clip_samples - audio.shape[1])))
