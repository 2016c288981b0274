"""Waveform to mel image: the one format that everything else reads and writes.

A mel image is an 8-bit picture, low frequency at the bottom, one column for every ``hop_length``
samples. Levels lie on a fixed mu-law scale below full scale, so loudness survives the picture.
The way back is ``dmm.decode``; the PNG file around a picture is ``dmm.melimage``.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field
from scipy import fft, signal, sparse

from .errors import PresetError

FORMATS = Path(__file__).parents[1] / "presets" / "formats"
Positive = Annotated[int, Field(gt=0)]


class MelFormat(BaseModel):
    """All that is needed to turn sound into a mel image and back; travels inside every image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The preset's name."""
    version: Positive = 1
    """Raised when the meaning of a field changes; decoding refuses versions it does not know."""
    sr: Positive
    """Sampling rate, Hz."""
    hop_length: Positive
    """Samples per image column."""
    win_length: Positive
    """Hann window, samples."""
    n_fft: Positive
    """FFT length, samples; 2^a 3^b is fast."""
    n_mels: Positive
    """Image rows."""
    n_frames: Positive
    """Image columns of one clip."""
    fmin: float = 0.0
    """Centre of the lowest row's lower neighbour, Hz."""
    fmax: float
    """Upper end of the highest row, Hz."""
    mel_scale: Literal["htk"] = "htk"
    """mel = 2595 log10(1 + f/700)."""
    level_scale: Literal["mulaw"] = "mulaw"
    """value = 255 log(1 + mu a/ref) / log(1 + mu), mu = 10^(range_db/20)."""
    range_db: float = 80.0
    """Span of the level scale below ``ref``, dB."""
    ref: float = 1.0
    """Mel magnitude shown as 255; a full-scale sine has magnitude 1."""

    @property
    def clip_samples(self) -> int:
        """Length of one clip in samples."""
        return self.n_frames * self.hop_length

    @property
    def clip_duration_s(self) -> float:
        """Length of one clip in seconds."""
        return self.clip_samples / self.sr


def format_names() -> list[str]:
    """Names of the formats in ``presets/formats``, sorted."""
    return sorted(path.stem for path in FORMATS.glob("*.toml"))


@cache
def load_format(name: str) -> MelFormat:
    """The named format; PresetError lists the known names if there is none."""
    path = FORMATS / f"{name}.toml"
    if name not in format_names():
        raise PresetError(f"no mel format {name!r}; known: {', '.join(format_names())}")
    return MelFormat(name=name, **tomllib.loads(path.read_text(encoding="utf-8")))


@cache
def window(fmt: MelFormat) -> Float[np.ndarray, " n_fft"]:
    """Periodic Hann window centred in the FFT frame, scaled so a full-scale sine has magnitude 1."""
    hann = signal.get_window("hann", fmt.win_length)
    left = (fmt.n_fft - fmt.win_length) // 2
    padded = np.pad(hann, (left, fmt.n_fft - fmt.win_length - left))
    return (padded * 2 / hann.sum()).astype(np.float32)


@cache
def mel_filterbank(fmt: MelFormat) -> sparse.csr_array:
    """Triangles of unit area, (n_mels, n_fft // 2 + 1); row 0 is the lowest frequency.

    A triangle is never narrower than one FFT bin to each side, so that no row is empty where
    rows lie closer together than bins do.
    """
    mel_edges = np.linspace(_hz_to_mel(fmt.fmin), _hz_to_mel(fmt.fmax), fmt.n_mels + 2)
    edges_hz = 700 * (10 ** (mel_edges / 2595) - 1)
    bins_hz = fft.rfftfreq(fmt.n_fft, 1 / fmt.sr)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rise = (bins_hz - centre) / np.maximum(centre - low, bins_hz[1])
    fall = (bins_hz - centre) / np.maximum(high - centre, bins_hz[1])
    weights = np.clip(1 - np.maximum(-rise, fall), 0, None)
    return sparse.csr_array((weights / weights.sum(1, keepdims=True)).astype(np.float32))


def _hz_to_mel(hz: float) -> float:
    return 2595 * np.log10(1 + hz / 700)


def stft(audio: Float[np.ndarray, " samples"], fmt: MelFormat) -> np.ndarray:
    """Complex STFT (frames, bins): frame t is centred at (t + 0.5) hops, T frames for T hops."""
    if len(audio) % fmt.hop_length:
        raise ValueError(
            f"{len(audio)} samples are no whole number of {fmt.hop_length}-sample hops"
        )
    left = (fmt.n_fft - fmt.hop_length) // 2
    padded = np.pad(audio.astype(np.float32, copy=False), (left, fmt.n_fft - fmt.hop_length - left))
    frames = np.lib.stride_tricks.sliding_window_view(padded, fmt.n_fft)[:: fmt.hop_length]
    return fft.rfft(frames * window(fmt), axis=-1)


def mel_magnitude(
    audio: Float[np.ndarray, " samples"], fmt: MelFormat
) -> Float[np.ndarray, "mels frames"]:
    """Mean STFT magnitude under each triangle; row 0 is the lowest, 1.0 is a full-scale sine."""
    return mel_filterbank(fmt) @ np.abs(stft(audio, fmt)).T


def to_level(
    mel: Float[np.ndarray, "mels frames"], fmt: MelFormat
) -> UInt8[np.ndarray, "mels frames"]:
    """Magnitudes to image values 0..255 on the format's mu-law scale, rounded to nearest."""
    mu = 10 ** (fmt.range_db / 20)
    values = np.log1p(mel * (mu / fmt.ref)) * np.float32(255 / np.log1p(mu))
    return np.rint(np.minimum(values, 255)).astype(np.uint8)


def from_level(
    image: UInt8[np.ndarray, "mels frames"], fmt: MelFormat
) -> Float[np.ndarray, "mels frames"]:
    """Image values back to mel magnitudes; the inverse of ``to_level`` up to rounding."""
    mu = 10 ** (fmt.range_db / 20)
    table = np.expm1(np.arange(256) * (np.log1p(mu) / 255)) * (fmt.ref / mu)
    return table.astype(np.float32)[image]


def encode(
    audio: Float[np.ndarray, "channels samples"], fmt: MelFormat
) -> UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"]:
    """Mel image of mono (1, n) or stereo (2, n) sound in -1..1; n is a whole number of hops.

    Mono gives (rows, frames); stereo gives RGB with mid in R, side in G and B zero. ValueError
    for other channel counts, lengths that are no whole hops, and samples that are not finite.
    """
    if not np.isfinite(audio).all():
        raise ValueError("the sound holds samples that are not finite (NaN or infinity)")
    if len(audio) == 1:
        return to_level(mel_magnitude(audio[0], fmt), fmt)[::-1]
    if len(audio) != 2:
        raise ValueError(f"mono or stereo expected; got {len(audio)} channels")
    mid, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2
    red, green = (to_level(mel_magnitude(x, fmt), fmt)[::-1] for x in (mid, side))
    return np.stack([red, green, np.zeros_like(red)], axis=-1)
