"""Regroup streams of samples and STFT frames; only a few blocks are held in memory."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from jaxtyping import Complex, Float, Shaped
from scipy import fft

from .mel import MelFormat, window

BLOCK = 32
"""Frames per block, so that an FFT's data fit the CPU cache."""


def regroup(
    pieces: Iterable[Shaped[np.ndarray, "_piece *rest"]], size: int
) -> Iterator[Shaped[np.ndarray, "_size *rest"]]:
    """Regroup rows into pieces of ``size``; the last one may be shorter.

    >>> [piece.tolist() for piece in regroup([np.arange(3), np.arange(3, 7)], 2)]
    [[0, 1], [2, 3], [4, 5], [6]]
    """
    held: np.ndarray | None = None
    for piece in pieces:
        held = piece if held is None else np.concatenate([held, piece])
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if held is not None and len(held):
        yield held


def without_ends(
    pieces: Iterable[Shaped[np.ndarray, "*rest _piece"]], before: int, after: int
) -> Iterator[Shaped[np.ndarray, "*rest _piece"]]:
    """Drop the first ``before`` and the last ``after`` samples along the last axis.

    >>> np.concatenate(list(without_ends([np.arange(3), np.arange(3, 9)], 1, 2)))
    array([1, 2, 3, 4, 5, 6])
    """
    held: np.ndarray | None = None
    for piece in pieces:
        piece, before = piece[..., before:], max(0, before - piece.shape[-1])
        held = piece if held is None else np.concatenate([held, piece], axis=-1)
        finished = max(0, held.shape[-1] - after)
        if finished:
            yield held[..., :finished]
            held = held[..., finished:]


Ends = tuple[Float[np.ndarray, "channels _before"], Float[np.ndarray, "channels _after"]]
"""Samples before and after a stream."""


def with_context(
    pieces: Iterable[Float[np.ndarray, "channels _piece"]], n: int, ends: Ends | None = None
) -> Iterator[Float[np.ndarray, "channels _wider"]]:
    """Extend pieces by ``n`` samples of context on each side; at the ends by ``ends`` or zeros.

    >>> [x.tolist() for x in with_context([np.ones((1, 2)), np.ones((1, 1))], 1)]
    [[[0.0, 1.0, 1.0]], [[1.0, 1.0, 1.0]], [[1.0, 1.0, 0.0]]]
    """
    before, after = ends or (np.zeros((1, 0)), np.zeros((1, 0)))
    held: np.ndarray | None = None
    for piece in pieces:
        held = _last_samples_zero_padded(before, n, piece) if held is None else held
        held = np.concatenate([held, piece], axis=1)
        if held.shape[1] > 2 * n:
            yield held
            held = held[:, -2 * n :]
    if held is not None:
        yield np.concatenate(
            [held, _last_samples_zero_padded(after[:, ::-1], n, held)[:, ::-1]], axis=1
        )


def _last_samples_zero_padded(sound: np.ndarray, n: int, like: np.ndarray) -> np.ndarray:
    """The last ``n`` samples, preceded by zeros if there are fewer."""
    rim = np.zeros((len(like), n), like.dtype)
    rim[:, n - min(n, sound.shape[1]) :] = sound[:, max(0, sound.shape[1] - n) :]
    return rim


def stream_stft(
    pieces: Iterable[Float[np.ndarray, "_samples"]], fmt: MelFormat
) -> Iterator[Complex[np.ndarray, "_block bins"]]:
    """``mel.stft`` of a stream of samples, ``BLOCK`` frames at a time; the last may be fewer."""
    left = (fmt.n_fft - fmt.hop_length) // 2
    before, after = (np.zeros(n, np.float32) for n in (left, fmt.n_fft - fmt.hop_length - left))
    return regroup(_spectra(chain([before], pieces, [after]), fmt), BLOCK)


def _spectra(
    pieces: Iterable[Float[np.ndarray, "_samples"]], fmt: MelFormat
) -> Iterator[Complex[np.ndarray, "_frames bins"]]:
    """Yield windowed spectra of the frames that each piece completes."""
    held = np.zeros(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece])
        if len(held) >= fmt.n_fft:
            views = np.lib.stride_tricks.sliding_window_view(held, fmt.n_fft)[:: fmt.hop_length]
            yield np.asarray(fft.rfft(views * window(fmt), axis=-1))
            held = held[len(views) * fmt.hop_length :]
