"""Read and write audio files as (channels, samples) of 32-bit floats in -1..1."""

import io
import math
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..files import check_regular, whole_file
from .decoding import decode_blocks

CENTRE, LFE = 2, 3
"""Indices in the usual channel order: left, right, centre, low frequency, surround pairs."""


def read_audio(path: Path, sr: int, channels: int) -> Float[np.ndarray, "channels samples"]:
    """Read a whole file at ``sr`` Hz as 1 or 2 channels; errors as in ``stream_audio``."""
    return np.concatenate(list(stream_audio(path, sr, channels)), axis=1)


def stream_audio(
    path: Path, sr: int, channels: int, block_s: float = 2.0
) -> Iterator[Float[np.ndarray, "channels samples"]]:
    """Yield a file at ``sr`` Hz as 1 or 2 channels, in blocks of about ``block_s`` seconds.

    Only a few blocks are in memory; joined, they do not depend on ``block_s``. For one channel all
    of the file's are averaged; for two, mono is copied, and more are mixed down. InputError,
    in one line, for a file that is missing, empty, protected, damaged, more than a second shorter
    than stated, without samples, or with samples that are not finite. It is raised when the flaw is
    reached. ValueError for another number of channels.
    """
    if channels not in (1, 2):
        raise ValueError(f"1 or 2 channels; got {channels}")
    if check_regular(path).st_size == 0:
        raise InputError(f"{path}: empty (0 bytes); copy it again")
    n_samples = 0
    for block in _resample(_mixed_blocks(path, channels, block_s), sr):
        n_samples += block.shape[1]
        yield block
    if n_samples == 0:
        raise InputError(f"{path}: holds no samples; leave it out")


def _mixed_blocks(
    path: Path, channels: int, block_s: float
) -> Iterator[tuple[Float[np.ndarray, "channels samples"], int]]:
    """Yield decoded blocks with 1 or 2 channels; InputError for samples that are not finite."""
    for block, file_sr in decode_blocks(path, block_s):
        if not np.isfinite(block).all():
            raise InputError(f"{path}: holds NaN or infinite samples; export it again")
        yield _mix(block, channels), file_sr


def _mix(
    sound: Float[np.ndarray, "file_channels samples"], channels: int
) -> Float[np.ndarray, "channels samples"]:
    """Mix or copy channels to 1 or 2."""
    if channels == len(sound):
        return sound
    if channels == 1:
        return sound.mean(0, keepdims=True)
    return np.repeat(sound, 2, axis=0) if len(sound) == 1 else _stereo_downmix(len(sound)) @ sound


def _stereo_downmix(file_channels: int) -> Float[np.ndarray, "2 file_channels"]:
    """Downmix weights (ITU-R BS.775): centre and surround at -3 dB, no LFE channel, sum at most 1.

    >>> _stereo_downmix(4).round(2)  # four channels are two pairs: front and back
    array([[0.59, 0.  , 0.41, 0.  ],
           [0.  , 0.59, 0.  , 0.41]], dtype=float32)
    """
    weights = np.zeros((2, file_channels), np.float32)
    first_pair = 2
    if file_channels != 4:
        weights[:, CENTRE], first_pair = math.sqrt(0.5), CENTRE + 1
    if file_channels >= 6:
        first_pair = LFE + 1
    weights[0, 0] = weights[1, 1] = 1
    for place in range(first_pair, file_channels):
        weights[(place - first_pair) % 2, place] = math.sqrt(0.5)
    return weights / weights.sum(1).max()


def _resample(
    blocks: Iterable[tuple[Float[np.ndarray, "channels samples"], int]], sr: int
) -> Iterator[Float[np.ndarray, "channels resampled"]]:
    """Resample (block, sample rate) pairs to ``sr``; yields no empty block."""
    import soxr

    blocks = iter(blocks)
    first, file_sr = next(blocks, (None, sr))
    if first is None:
        return
    stream = soxr.ResampleStream(file_sr, sr, len(first), dtype="float32")
    end = np.zeros((len(first), 0), np.float32)  # flushes the resampler
    for block in chain([first], (block for block, _ in blocks), [end]):
        if file_sr != sr:
            block = stream.resample_chunk(np.ascontiguousarray(block.T), last=block is end).T
        if block.shape[1]:
            yield np.ascontiguousarray(block)


def write_audio(path: Path, audio: Float[np.ndarray, "channels samples"], sr: int) -> None:
    """Write 16-bit .wav or .flac by the suffix, completely or not at all; clips beyond ±1.

    ValueError for another suffix, and for samples that are not finite.
    """
    if path.suffix.lower() not in (".wav", ".flac"):
        raise ValueError(f"{path}: audio is written as .wav or .flac")
    if not np.isfinite(audio).all():
        raise ValueError(f"{path}: the audio holds NaN or infinite samples")
    # encoded in memory, because libsndfile hides why writing to a file failed
    content = audio_bytes(audio, sr, path.suffix[1:].upper())
    with whole_file(path) as partial:
        partial.write_bytes(content)


def audio_bytes(audio: Float[np.ndarray, "channels samples"], sr: int, kind: str = "FLAC") -> bytes:
    """Content of a 16-bit "FLAC" or "WAV" file; samples beyond ±1 are clipped."""
    import soundfile

    encoded = io.BytesIO()
    soundfile.write(encoded, np.clip(audio, -1, 1).T, sr, subtype="PCM_16", format=kind)
    return encoded.getvalue()
