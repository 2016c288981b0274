"""Mel image to waveform: levels, mel inverse, a first phase, ADMM; ``mel.py``'s way back.

An image of any width becomes sound as one piece, in bounded memory: the first phase is found in
chunks, each going on from the phase that the one before ended with, and phase retrieval takes
frames as they come.
"""

from collections.abc import Iterable, Iterator
from itertools import tee
from typing import Literal

import numpy as np
from jaxtyping import Complex, Float, Int, UInt8

from .framing import BLOCK, stream_stft, without_ends
from .mel import MelFormat, from_level, mel_filterbank
from .mel_inverse import linear_magnitude
from .pghi import SILENCE, first_phase
from .phase import Frames, reach, retrieve_phase

Quality = Literal["fast", "default", "best"]
ITERATIONS: dict[str, int] = {"fast": 8, "default": 32, "best": 128}
"""ADMM steps; of everything tried (FFT length, window, start) only these buy quality evenly."""
KNEE = 0.9
"""Sample value from which peaks are rounded off."""
CHUNK, AHEAD = 16 * BLOCK, BLOCK
"""Frames whose first phase is found at a time, and how many more are looked at."""
TAKEN_OVER = 2
"""Frames of the chunk before that a chunk's first phase goes on from."""

Started = tuple[
    Int[np.ndarray, "_frames"],
    Float[np.ndarray, "_frames bins"],
    Complex[np.ndarray, "_frames bins"],
]
"""Image columns, their magnitudes and the phasors to start from."""


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
    none = np.zeros((1 if image.ndim == 2 else 2, 0), np.float32)
    return np.concatenate([none, *stream_decode(image, fmt, quality)], axis=1)


def stream_decode(
    image: UInt8[np.ndarray, "rows frames"] | UInt8[np.ndarray, "rows frames 3"],
    fmt: MelFormat,
    quality: Quality = "default",
    loop: bool = False,
) -> Iterator[Float[np.ndarray, "channels _block"]]:
    """Yield the sound of ``decode`` in blocks; however wide the image, memory is bounded.

    A ``loop`` ends where it begins: played round and round it has no seam. Its phases are held
    whole, 1 MB a second.
    """
    check_image(image, fmt, quality)
    if image.shape[1] == 0:
        return
    # Side waits for mid, so its frames depend on others twice as far away.
    lead_in = 2 * reach(fmt, ITERATIONS[quality]) if loop else 0
    levels = image[::-1]
    if image.ndim == 2:
        channels = _mono(levels, fmt, quality, lead_in)
    elif fmt.stereo == "left-right":
        sides = (_mono(levels[..., i], fmt, quality, lead_in) for i in (1, 2))
        channels = map(np.concatenate, zip(*sides, strict=True))
    else:
        channels = _mid_side(levels, fmt, quality, lead_in)
    if loop:
        channels = without_ends(channels, lead_in * fmt.hop_length, lead_in * fmt.hop_length)
    yield from map(soft_limit, channels)


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


def _mono(
    levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat, quality: Quality, lead_in: int
) -> Iterator[Float[np.ndarray, "1 _block"]]:
    started = ((m, start) for _, m, start in _started(levels, fmt, lead_in))
    return (sound[None] for sound in retrieve_phase(started, fmt, ITERATIONS[quality]))


def _mid_side(
    levels: UInt8[np.ndarray, "mels frames 3"], fmt: MelFormat, quality: Quality, lead_in: int
) -> Iterator[Float[np.ndarray, "2 _block"]]:
    """Left and right; the louder of mid and side is decoded as if alone and leads the other.

    A source that sits in one place has mid and side in phase, or in opposite phase if it sits on
    the right: so the second one starts from the first one's phase, its sign from the balance.
    """
    side_leads = level_power(levels[..., 1], fmt) > level_power(levels[..., 0], fmt)
    lead, follow = (levels[..., i] for i in ((1, 0) if side_leads else (0, 1)))
    blocks, again = tee(_started(lead, fmt, lead_in))
    started = ((magnitude, start) for _, magnitude, start in blocks)
    leader, heard = tee(retrieve_phase(started, fmt, ITERATIONS[quality]))
    columns = (columns for columns, _, _ in again)
    following = _following(columns, stream_stft(heard, fmt), follow, levels[..., 2], fmt)
    follower = retrieve_phase(following, fmt, ITERATIONS[quality])
    for first, second in zip(leader, follower, strict=True):
        mid, side = (second, first) if side_leads else (first, second)
        yield np.stack([mid + side, mid - side])


def _following(
    columns: Iterable[Int[np.ndarray, "_frames"]],
    spectra: Iterable[Complex[np.ndarray, "_frames bins"]],
    follow: UInt8[np.ndarray, "mels columns"],
    balance: UInt8[np.ndarray, "mels columns"],
    fmt: MelFormat,
) -> Iterator[Frames]:
    """Magnitudes of the channel that follows, and the leader's phase with the balance's sign."""
    stated = balance.any()
    for these, spectrum in zip(columns, spectra, strict=True):
        size = np.abs(spectrum)
        start = np.where(size > SILENCE, spectrum / np.maximum(size, SILENCE), np.complex64(1))
        if stated:
            start *= _side_sign(balance[:, these], fmt)
        yield linear_magnitude(from_level(follow[:, these], fmt), fmt), start


def level_power(levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat) -> float:
    """Summed squares of the mel magnitudes, chunk by chunk."""
    starts = range(0, levels.shape[1], CHUNK)
    chunks = (from_level(levels[:, t : t + CHUNK], fmt) for t in starts)
    return sum(float(np.square(chunk).sum()) for chunk in chunks)


def _started(
    levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat, lead_in: int
) -> Iterator[Started]:
    """Magnitudes and first phases of ``BLOCK`` frames at a time; ``lead_in`` is a loop's."""
    chunks = _chunks(levels, fmt)
    if lead_in:
        chunks = _round(levels, list(chunks), fmt, lead_in)
    for columns, magnitude, start in chunks:
        for t in range(0, len(columns), BLOCK):
            block = slice(t, t + BLOCK)
            yield columns[block], magnitude[block], start[block]


def _chunks(levels: UInt8[np.ndarray, "mels frames"], fmt: MelFormat) -> Iterator[Started]:
    """Each chunk's first phase goes on from the last frames of the one before."""
    n_frames, known = levels.shape[1], {}
    for start in range(0, n_frames, CHUNK):
        first = max(0, start - TAKEN_OVER)
        magnitude = linear_magnitude(from_level(levels[:, first : start + CHUNK + AHEAD], fmt), fmt)
        phasors = first_phase(magnitude, fmt.hop_length, fmt.win_length, fmt.n_fft, known=known)
        own = slice(start - first, start - first + CHUNK)
        known = dict(enumerate(phasors[own][-TAKEN_OVER:]))
        yield np.arange(start, min(start + CHUNK, n_frames)), magnitude[own], phasors[own]


def _round(
    levels: UInt8[np.ndarray, "mels frames"],
    chunks: list[Started],
    fmt: MelFormat,
    lead_in: int,
) -> Iterator[Started]:
    """A loop played from ``lead_in`` frames before its start to as many after its end.

    Its last frames' phases are found anew, between those before them and the loop's first.
    """
    _, magnitude, phasors = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    n_frames = len(magnitude)
    last = min(AHEAD, n_frames)
    around = np.arange(n_frames - last - TAKEN_OVER, n_frames + TAKEN_OVER) % n_frames
    rims = (*range(TAKEN_OVER), *range(-TAKEN_OVER, 0))
    known = {t % len(around): phasors[around[t]] for t in rims if n_frames > last}
    mended = first_phase(magnitude[around], fmt.hop_length, fmt.win_length, fmt.n_fft, known=known)
    phasors[-last:] = mended[TAKEN_OVER:-TAKEN_OVER]
    for t in range(-lead_in, n_frames + lead_in, BLOCK):
        columns = np.arange(t, min(t + BLOCK, n_frames + lead_in)) % n_frames
        yield columns, magnitude[columns], phasors[columns]


def _side_sign(
    balance: UInt8[np.ndarray, "mels frames"], fmt: MelFormat
) -> Float[np.ndarray, "frames bins"]:
    """-1 where the right channel is louder, else 1."""
    lean = mel_filterbank(fmt).T @ (balance.astype(np.float32) - 128)
    return np.where(lean.T < 0, np.float32(-1), np.float32(1))
