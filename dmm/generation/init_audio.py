"""Clips that begin from a sound: what the noise lets through, and a span that alone is replaced.

The sound becomes a mel image, the image latents. Sampling sets in amid its steps, where so much
noise is left as ``strength`` says. With a mask, what lies outside the span is put back at every
step, and its columns are in the end those of the sound's own mel image.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from ..codec.mel import MelFormat, encode
from ..errors import InputError, PresetError
from ..files import sha256_file
from ..sound.audio import stream_audio

FADE_S = 0.04
"""From the sound to what replaces it, and back, within the span."""


@dataclass(frozen=True)
class Start:
    """A sound that clips begin from, as the picture that it makes."""

    path: Path
    begin_s: float
    """Where in the file the clip begins."""
    strength: float
    """Share of the way that is drawn anew, over 0 to 1."""
    span: tuple[int, int] | None
    """Columns to replace, first and one past the last; None takes all."""
    fade: int
    """Columns of each of the span's fades."""
    levels: np.ndarray = field(repr=False, compare=False)
    """(rows, frames) or (rows, frames, 3), uint8."""

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What a clip's settings say of it; fit for JSON."""
        return {
            "init_sha256": sha256_file(self.path),
            "init_begin_s": self.begin_s,
            "strength": self.strength,
            **({"mask_columns": list(self.span)} if self.span else {}),
        }

    def latents(self, pipeline: Any) -> Float[torch.Tensor, "1 channels rows frames"]:
        """What the VAE makes of the picture."""
        levels = self.levels if self.levels.ndim == 3 else np.stack([self.levels] * 3, -1)
        picture = torch.from_numpy(levels.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        vae = pipeline.vae
        with torch.no_grad():
            found = vae.encode(picture.to(pipeline._execution_device, vae.dtype))
        return found.latent_dist.mode() * vae.config.scaling_factor

    def mask(self, n_columns: int) -> Float[torch.Tensor, " columns"]:
        """1 for the columns of latents that the span touches, else 0."""
        if not self.span:
            return torch.ones(n_columns)
        factor = self.levels.shape[1] // n_columns
        columns = torch.arange(n_columns)
        first, end = self.span[0] // factor, -(-self.span[1] // factor)
        return ((columns >= first) & (columns < end)).float()

    def put_back(self, drawn: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
        """The sound's own columns outside the span, faded into the drawn ones inside of it."""
        if not self.span:
            return drawn
        first, end = self.span
        columns = np.arange(drawn.shape[1]) + 0.5
        ramp = np.minimum(columns - first, end - columns) / max(self.fade, 1)
        share = np.clip(ramp, 0, 1).reshape(1, -1, *[1] * (drawn.ndim - 2))
        return np.rint(share * drawn + (1 - share) * self.levels).astype(np.uint8)


def read_start(
    path: Path,
    fmt: MelFormat,
    stereo: bool,
    strength: float,
    mask_s: tuple[float, float] | None = None,
    begin_s: float = 0.0,
) -> Start:
    """The clip's length of a sound file from ``begin_s`` on, filled up with silence if it ends.

    ``mask_s`` counts from the clip's beginning. InputError for a file that cannot be read or is
    silent there; PresetError for a strength or span that does not hold.
    """
    if not 0 < strength <= 1:
        raise PresetError(f"--strength {strength:g}: over 0 and up to 1, which keeps nothing")
    span = fade = None
    if mask_s:
        span, fade = _columns(mask_s, fmt)
    sound = _excerpt(path, fmt, 2 if stereo else 1, begin_s)
    if not sound.any():
        raise InputError(f"{path}: silent from {begin_s:g} s on; begin elsewhere with --init-start")
    return Start(path, begin_s, strength, span, fade or 0, encode(sound, fmt))


def parse_span(text: str) -> tuple[float, float]:
    """Two seconds as one types them; PresetError if they are none.

    >>> parse_span("1.5-3")
    (1.5, 3.0)
    """
    first, _, last = text.partition("-")
    try:
        return float(first), float(last)
    except ValueError as error:
        raise PresetError(f"--mask {text}: write START-END in seconds, as 1.5-3") from error


def _columns(mask_s: tuple[float, float], fmt: MelFormat) -> tuple[tuple[int, int], int]:
    first, end = (round(second * fmt.sr / fmt.hop_length) for second in mask_s)
    if not 0 <= first < end <= fmt.n_frames:
        raise PresetError(
            f"--mask {mask_s[0]:g}-{mask_s[1]:g}: a span of the clip lies in its seconds "
            f"0-{fmt.clip_duration_s:.4g}, and ends after it begins"
        )
    fade = min(round(FADE_S * fmt.sr / fmt.hop_length), (end - first) // 2)
    return (first, end), fade


def _excerpt(
    path: Path, fmt: MelFormat, channels: int, begin_s: float
) -> Float[np.ndarray, "channels samples"]:
    """As many samples as a clip has; a long file is read no further."""
    first = round(begin_s * fmt.sr)
    blocks, length = [], 0
    for block in stream_audio(path, fmt.sr, channels):
        blocks.append(block)
        length += block.shape[1]
        if length >= first + fmt.clip_samples:
            break
    if length <= first:
        raise InputError(f"{path}: ends after {length / fmt.sr:.2f} s; lower --init-start")
    sound = np.concatenate(blocks, axis=1)[:, first : first + fmt.clip_samples]
    return np.pad(sound, ((0, 0), (0, fmt.clip_samples - sound.shape[1])))
