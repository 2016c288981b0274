"""Mel formats, and encoding of a waveform to a mel image.

A mel image has 8-bit levels, low frequency at the bottom and one column per ``hop_length`` samples.
Levels lie on a fixed mu-law scale below full scale, so that loudness is preserved.
``dmm.codec.decode`` decodes images; ``dmm.codec.image`` reads and writes their PNG files.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, Field, model_validator
from scipy import fft, signal, sparse

from ..errors import DmmError, InputError, PresetError
from ..files import read_toml, validated

FORMATS = Path(__file__).parents[2] / "presets" / "formats"
MAX_ROWS = 4096
"""Most rows of a mel image."""
MAX_FILTERBANK = 1 << 24
"""Most rows times FFT length: the filterbank is computed in a few hundred MB."""
MelImage = UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"]
"""Grey, or in the colours of stereo."""


class MelFormat(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """All parameters of encoding and decoding; stored in every mel image.

    A ValidationError names the first field that is out of its bounds, or does not fit another one.
    """

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w .+-]+$")]
    """The preset's name."""
    version: Annotated[int, Field(ge=1, le=1000)] = 1
    """Format version; raised when the meaning of a field changes. Others are refused."""
    sr: Annotated[int, Field(ge=1000, le=768_000)]
    """Sampling rate, Hz."""
    hop_length: Annotated[int, Field(ge=1)]
    """Samples per image column; at most half of ``win_length``, so that windows overlap."""
    win_length: Annotated[int, Field(ge=2)]
    """Length of the Hann window, samples; at most ``n_fft``."""
    n_fft: Annotated[int, Field(ge=4, le=1 << 15)]
    """FFT length, samples; 2^a 3^b is fast."""
    n_mels: Annotated[int, Field(ge=1, le=MAX_ROWS)]
    """Image rows; at most ``n_fft``."""
    n_frames: Annotated[int, Field(ge=1, le=1 << 16)]
    """Image columns of one clip."""
    fmin: Annotated[float, Field(ge=0)] = 0.0
    """Centre of the lowest row's lower neighbour, Hz; below ``fmax``."""
    fmax: Annotated[float, Field(gt=0)]
    """Upper end of the highest row, Hz; at most half of ``sr``."""
    mel_scale: Literal["htk"] = "htk"
    """mel = 2595 log10(1 + f/700)."""
    mel_norm: Literal["area", "width"] = "area"
    """``area``: a row is the mean under its triangle; ``width``: that times its width in Hz."""
    level_scale: Literal["mulaw", "power"] = "mulaw"
    """``mulaw``: value = 255 log(1 + mu a/ref) / log(1 + mu), mu = 10^(range_db/20);
    ``power``: value = 255 (1 - (a/ref)^exponent), so that black is loud."""
    range_db: Annotated[float, Field(ge=1, le=200)] = 80.0
    """Span of the mu-law scale below ``ref``, dB."""
    exponent: Annotated[float, Field(ge=0.01, le=10)] = 0.25
    """Exponent of the power scale."""
    ref: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    """Mel magnitude at the loud end; a full-scale sine has magnitude 1."""
    stereo: Literal["mid-side", "left-right"] = "mid-side"
    """Meaning of red, green, blue: mid, side, balance; or unused, left, right."""

    @model_validator(mode="after")
    def _check_fields_together(self) -> "MelFormat":
        for field, bound, of in (
            ("win_length", self.n_fft, "n_fft"),
            ("hop_length", self.win_length / 2, "win_length / 2"),
            ("n_mels", self.n_fft, "n_fft"),
            ("n_mels", MAX_FILTERBANK / self.n_fft, f"{MAX_FILTERBANK} / n_fft"),
            ("fmax", self.sr / 2, "sr / 2"),
        ):
            if (value := getattr(self, field)) > bound:
                raise ValueError(f"{field} is {value}: at most {of}, {bound:g}")
        if self.fmin >= self.fmax:
            raise ValueError(f"fmin is {self.fmin}: below fmax, {self.fmax:g}")
        return self

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
    """Load a format by name; PresetError lists the known names."""
    path = FORMATS / f"{name}.toml"
    if name not in format_names():
        raise PresetError(f"no mel format {name!r}; known: {', '.join(format_names())}")
    return parse_format({"name": name} | read_toml(path, error=PresetError), path, PresetError)


def parse_format(fields: object, where: object, error: type[DmmError] = InputError) -> MelFormat:
    """The format of these fields; ``error`` names the one that is missing or out of bounds."""
    return validated(fields, where, MelFormat, error)


@cache
def window(fmt: MelFormat) -> Float[np.ndarray, " n_fft"]:
    """Periodic Hann window, centred in n_fft; a full-scale sine then has magnitude 1."""
    hann = np.asarray(signal.get_window("hann", fmt.win_length))
    left = (fmt.n_fft - fmt.win_length) // 2
    padded = np.pad(hann, (left, fmt.n_fft - fmt.win_length - left))
    return (padded * 2 / hann.sum()).astype(np.float32)


@cache
def mel_filterbank(fmt: MelFormat) -> sparse.csr_array:
    """Triangles of unit area, (n_mels, n_fft // 2 + 1); row 0 is the lowest frequency.

    A triangle is at least one FFT bin wide on each side, so that no row is empty if rows are closer
    together than bins.
    """
    edges_hz = _edges_hz(fmt)
    bins_hz = fft.rfftfreq(fmt.n_fft, 1 / fmt.sr)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rise = (bins_hz - centre) / np.maximum(centre - low, bins_hz[1])
    fall = (bins_hz - centre) / np.maximum(high - centre, bins_hz[1])
    weights = np.clip(1 - np.maximum(-rise, fall), 0, None)
    return sparse.csr_array((weights / weights.sum(1, keepdims=True)).astype(np.float32))


def _edges_hz(fmt: MelFormat) -> Float[np.ndarray, " edges"]:
    """Corners of the triangles: row i rises from edge i to edge i + 1 and falls to edge i + 2."""
    mel_edges = np.linspace(_hz_to_mel(fmt.fmin), _hz_to_mel(fmt.fmax), fmt.n_mels + 2)
    return 700 * (10 ** (mel_edges / 2595) - 1)


def _row_reference_magnitude(fmt: MelFormat) -> float | Float[np.ndarray, "mels 1"]:
    """Mean magnitude at the loud end of the scale, one per row for norm ``width``."""
    if fmt.mel_norm == "area":
        return fmt.ref
    edges_hz = _edges_hz(fmt)
    return (2 * fmt.ref / (edges_hz[2:] - edges_hz[:-2]))[:, None].astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    return 2595 * np.log10(1 + hz / 700)


def stft(audio: Float[np.ndarray, " samples"], fmt: MelFormat) -> np.ndarray:
    """Complex STFT (frames, bins): frame t is centred at (t + 0.5) hops; T hops give T frames.

    ValueError if the length is not a whole number of hops.
    """
    if len(audio) % fmt.hop_length:
        raise ValueError(
            f"{len(audio)} samples are not a whole number of {fmt.hop_length}-sample hops"
        )
    left = (fmt.n_fft - fmt.hop_length) // 2
    padded = np.pad(audio.astype(np.float32, copy=False), (left, fmt.n_fft - fmt.hop_length - left))
    frames = np.lib.stride_tricks.sliding_window_view(padded, fmt.n_fft)[:: fmt.hop_length]
    return np.asarray(fft.rfft(frames * window(fmt), axis=-1))


def mel_magnitude(
    audio: Float[np.ndarray, " samples"], fmt: MelFormat
) -> Float[np.ndarray, "mels frames"]:
    """Mean STFT magnitude under each triangle; row 0 is the lowest, 1.0 is a full-scale sine."""
    return mel_filterbank(fmt) @ np.abs(stft(audio, fmt)).T


def to_level(
    mel: Float[np.ndarray, "mels frames"], fmt: MelFormat
) -> UInt8[np.ndarray, "mels frames"]:
    """Convert magnitudes to image values 0..255 on the format's scale, rounded to nearest."""
    if fmt.level_scale == "power":
        values = 255 - 255 * np.minimum(mel / _row_reference_magnitude(fmt), 1) ** fmt.exponent
    else:
        mu = 10 ** (fmt.range_db / 20)
        values = np.log1p(mel * (mu / _row_reference_magnitude(fmt))) * np.float32(
            255 / np.log1p(mu)
        )
    return np.rint(np.minimum(values, 255)).astype(np.uint8)


def from_level(
    image: UInt8[np.ndarray, "mels frames"], fmt: MelFormat
) -> Float[np.ndarray, "mels frames"]:
    """Convert image values to mel magnitudes; the inverse of ``to_level`` up to rounding."""
    return level_table(fmt)[image] * _row_reference_magnitude(fmt)


def level_table(fmt: MelFormat) -> Float[np.ndarray, " 256"]:
    """Magnitude of each image value, relative to the loud end."""
    values = np.arange(256) / 255
    if fmt.level_scale == "power":
        return ((1 - values) ** (1 / fmt.exponent)).astype(np.float32)
    mu = 10 ** (fmt.range_db / 20)
    return (np.expm1(values * np.log1p(mu)) / mu).astype(np.float32)


def encode(
    audio: Float[np.ndarray, "channels samples"], fmt: MelFormat
) -> UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"]:
    """Encode mono (1, n) or stereo (2, n) audio in -1..1; n is a whole number of hops.

    Mono gives (rows, frames); stereo gives RGB with the channels of ``fmt.stereo``. ValueError for
    other channel counts, other lengths, and samples that are not finite.
    """
    if not np.isfinite(audio).all():
        raise ValueError("the audio holds samples that are not finite (NaN or infinity)")
    if len(audio) == 1:
        return to_level(mel_magnitude(audio[0], fmt), fmt)[::-1]
    if len(audio) != 2:
        raise ValueError(f"mono or stereo expected; got {len(audio)} channels")
    left, right = (mel_magnitude(x, fmt) for x in audio)
    if fmt.stereo == "left-right":
        rows = [np.full(left.shape, 255, np.uint8), to_level(left, fmt), to_level(right, fmt)]
    else:
        mid, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2
        rows = [to_level(mel_magnitude(x, fmt), fmt) for x in (mid, side)]
        rows.append(balance(left, right))
    return np.stack(rows, axis=-1)[::-1]


def cut_clips(
    sound: Float[np.ndarray, "channels samples"], fmt: MelFormat, pad: bool = True
) -> Iterator[Float[np.ndarray, "channels clip_samples"]]:
    """Yield consecutive clips of the format's length; a short last one is padded, or dropped."""
    for start in range(0, sound.shape[1], fmt.clip_samples):
        clip = sound[:, start : start + fmt.clip_samples]
        short = fmt.clip_samples - clip.shape[1]
        if short and not pad:
            return
        yield np.pad(clip, ((0, 0), (0, short)))


def balance(
    left: Float[np.ndarray, "mels frames"], right: Float[np.ndarray, "mels frames"]
) -> UInt8[np.ndarray, "mels frames"]:
    """Position of each cell between right (1), centre (128) and left (255).

    It distinguishes a sound from its mirror image, which has the same magnitudes of mid and side.
    """
    lean = (left - right) / np.maximum(left + right, np.float32(1e-9))
    return np.rint(128 + 127 * lean).astype(np.uint8)
