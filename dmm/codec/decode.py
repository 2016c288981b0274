"""Decode a mel image to a waveform: mel inverse, initial phase, then ADMM phase retrieval.

An image of any width is decoded as one piece in bounded memory. The initial phase is computed in
chunks, each continuing from the last frames of the chunk before; phase retrieval works on a stream
of frames.
"""

from collections.abc import Iterable, Iterator
from itertools import tee
from typing import Literal

import numpy as np
from jaxtyping import Complex, Float, Int, UInt8

from .framing import BLOCK, stream_stft, without_ends
from .mel import MelFormat, from_level, mel_filterbank
from .mel_inverse import linear_magnitude
from .pghi import SILENCE, initial_phasors
from .phase import Frames, reach, retrieve_phase

Quality = Literal["fast", "default", "best"]
ITERATIONS: dict[str, int] = {"fast": 8, "default": 32, "best": 128}
"""ADMM steps; FFT length, window and initial phase were tried too, with less gain."""
KNEE = 0.9
"""Sample value from which peaks are limited."""
CHUNK, AHEAD = 16 * BLOCK, BLOCK
"""Frames of a chunk of initial phases, and of the look-ahead beyond it."""
CARRIED = 2
"""Frames carried over from the previous chunk to continue its phase."""

PhasedFrames = tuple[
    Int[np.ndarray, "_frames"],
    Float[np.ndarray, "_frames bins"],
    Complex[np.ndarray, "_frames bins"],
]
"""Image columns, their STFT magnitudes and initial unit phasors."""


def decode(
    image: UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"],
    fmt: MelFormat,
    quality: Quality = "default",
) -> Float[np.ndarray, "channels samples"]:
    """Decode a mel image of any width: (1, n) from grey, (2, n) from RGB, n = frames * hop.

    Samples lie in -1..1: peaks above 0.9, which phase retrieval raises by up to a quarter, are
    limited softly, because scaling would change the loudness. Decoding is deterministic; a silent
    image gives silence. ValueError for a wrong row count or quality.
    """
    none = np.zeros((1 if image.ndim == 2 else 2, 0), np.float32)
    return np.concatenate([none, *stream_decode(image, fmt, quality)], axis=1)


def stream_decode(
    image: UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"],
    fmt: MelFormat,
    quality: Quality = "default",
    loop: bool = False,
) -> Iterator[Float[np.ndarray, "channels _block"]]:
    """Yield the samples of ``decode`` in blocks, in memory that does not grow with the image.

    With ``loop`` the end continues into the beginning without a seam. Its phases are held in
    memory, 1 MB a second.
    """
    check_image(image, fmt, quality)
    if image.shape[1] == 0:
        return
    # The second channel starts from the first one's phase, so it depends on twice as many frames.
    lead_in = 2 * reach(fmt, ITERATIONS[quality]) if loop else 0
    levels = image[::-1]
    if image.ndim == 2:
        channels = _decode_mono(levels, fmt, quality, lead_in)
    elif fmt.stereo == "left-right":
        both = (_decode_mono(levels[..., i], fmt, quality, lead_in) for i in (1, 2))
        channels = map(np.concatenate, zip(*both, strict=True))
    else:
        channels = _decode_mid_side(levels, fmt, quality, lead_in)
    if loop:
        channels = without_ends(channels, lead_in * fmt.hop_length, lead_in * fmt.hop_length)
    yield from map(soft_limit, channels)


def check_image(image: np.ndarray, fmt: MelFormat, quality: str) -> None:
    """Raise ValueError for an image that does not fit the format, or an unknown quality."""
    if quality not in ITERATIONS:
        raise ValueError(f"no quality {quality!r}; known: {', '.join(ITERATIONS)}")
    if image.shape[0] != fmt.n_mels:
        raise ValueError(f"{image.shape[0]} rows; format {fmt.name!r} has {fmt.n_mels}")
    if image.dtype != np.uint8:
        raise ValueError(f"an 8-bit image is needed; got {image.dtype}")


def soft_limit(audio: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Leave samples up to ``KNEE`` unchanged and compress larger ones to less than 1."""
    over = np.abs(audio) > KNEE
    if not over.any():
        return audio
    bent = KNEE + (1 - KNEE) * np.tanh((np.abs(audio[over]) - KNEE) / (1 - KNEE))
    limited = audio.copy()
    limited[over] = np.copysign(bent, audio[over])
    return limited


def _decode_mono(
    levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat, quality: Quality, lead_in: int
) -> Iterator[Float[np.ndarray, "1 _block"]]:
    """Yield the audio of one channel in blocks."""
    frames = ((m, start) for _, m, start in _phased_blocks(levels, fmt, lead_in))
    return (sound[None] for sound in retrieve_phase(frames, fmt, ITERATIONS[quality]))


def _decode_mid_side(
    levels: UInt8[np.ndarray, "mels frames 3"], fmt: MelFormat, quality: Quality, lead_in: int
) -> Iterator[Float[np.ndarray, "2 _block"]]:
    """Left and right; the louder of mid and side is decoded first and leads the other.

    A source at one position has mid and side in phase, or in opposite phase if it is on the right.
    So the second channel starts from the phase of the first, with its sign from the balance.
    """
    side_leads = total_mel_power(levels[..., 1], fmt) > total_mel_power(levels[..., 0], fmt)
    lead, follow = (levels[..., i] for i in ((1, 0) if side_leads else (0, 1)))
    blocks, same_blocks = tee(_phased_blocks(lead, fmt, lead_in))
    frames = ((magnitude, start) for _, magnitude, start in blocks)
    leader, leader_copy = tee(retrieve_phase(frames, fmt, ITERATIONS[quality]))
    columns = (columns for columns, _, _ in same_blocks)
    spectra = stream_stft(leader_copy, fmt)
    following = _second_channel_frames(columns, spectra, follow, levels[..., 2], fmt)
    follower = retrieve_phase(following, fmt, ITERATIONS[quality])
    for first, second in zip(leader, follower, strict=True):
        mid, side = (second, first) if side_leads else (first, second)
        yield np.stack([mid + side, mid - side])


def _second_channel_frames(
    columns: Iterable[Int[np.ndarray, "_frames"]],
    spectra: Iterable[Complex[np.ndarray, "_frames bins"]],
    follow: UInt8[np.ndarray, "mels columns"],
    balance: UInt8[np.ndarray, "mels columns"],
    fmt: MelFormat,
) -> Iterator[Frames]:
    """Magnitudes of the second channel, and the first one's phase with the balance's sign."""
    has_balance = balance.any()
    for these, spectrum in zip(columns, spectra, strict=True):
        size = np.abs(spectrum)
        start = np.where(size > SILENCE, spectrum / np.maximum(size, SILENCE), np.complex64(1))
        if has_balance:
            start *= _side_sign(balance[:, these], fmt)
        yield linear_magnitude(from_level(follow[:, these], fmt), fmt), start


def total_mel_power(levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat) -> float:
    """Sum of the squared mel magnitudes, computed in chunks."""
    starts = range(0, levels.shape[1], CHUNK)
    chunks = (from_level(levels[:, t : t + CHUNK], fmt) for t in starts)
    return sum(float(np.square(chunk).sum()) for chunk in chunks)


def _phased_blocks(
    levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat, lead_in: int
) -> Iterator[PhasedFrames]:
    """Magnitudes and initial phases in blocks; ``lead_in`` frames extend a loop on each side."""
    chunks = _phased_chunks(levels, fmt)
    if lead_in:
        chunks = _unrolled_loop(levels, list(chunks), fmt, lead_in)
    for columns, magnitude, start in chunks:
        for t in range(0, len(columns), BLOCK):
            block = slice(t, t + BLOCK)
            yield columns[block], magnitude[block], start[block]


def _phased_chunks(
    levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat
) -> Iterator[PhasedFrames]:
    """Compute initial phases in chunks; each continues the last frames of the chunk before."""
    n_frames, known = levels.shape[1], {}
    for start in range(0, n_frames, CHUNK):
        first = max(0, start - CARRIED)
        magnitude = linear_magnitude(from_level(levels[:, first : start + CHUNK + AHEAD], fmt), fmt)
        phasors = initial_phasors(magnitude, fmt.hop_length, fmt.win_length, fmt.n_fft, known=known)
        inside = slice(start - first, start - first + CHUNK)
        known = dict(enumerate(phasors[inside][-CARRIED:]))
        yield np.arange(start, min(start + CHUNK, n_frames)), magnitude[inside], phasors[inside]


def _unrolled_loop(
    levels: UInt8[np.ndarray, "mels frames"],
    chunks: list[PhasedFrames],
    fmt: MelFormat,
    lead_in: int,
) -> Iterator[PhasedFrames]:
    """A loop from ``lead_in`` frames before its start to as many after its end.

    The phases of its last frames are computed again, to fit the frames before and the loop's start.
    """
    _, magnitude, phasors = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    n_frames = len(magnitude)
    last = min(AHEAD, n_frames)
    around = np.arange(n_frames - last - CARRIED, n_frames + CARRIED) % n_frames
    rims = (*range(CARRIED), *range(-CARRIED, 0))
    known = {t % len(around): phasors[around[t]] for t in rims if n_frames > last}
    closing = initial_phasors(
        magnitude[around], fmt.hop_length, fmt.win_length, fmt.n_fft, known=known
    )
    phasors[-last:] = closing[CARRIED:-CARRIED]
    for t in range(-lead_in, n_frames + lead_in, BLOCK):
        columns = np.arange(t, min(t + BLOCK, n_frames + lead_in)) % n_frames
        yield columns, magnitude[columns], phasors[columns]


def _side_sign(
    balance: UInt8[np.ndarray, "mels frames"], fmt: MelFormat
) -> Float[np.ndarray, "frames bins"]:
    """-1 for bins in which the right channel is louder, else 1."""
    lean = mel_filterbank(fmt).T @ (balance.astype(np.float32) - 128)
    return np.where(lean.T < 0, np.float32(-1), np.float32(1))
