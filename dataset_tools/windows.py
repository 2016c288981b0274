"""Cut sound that arrives in blocks into windows of one clip, in constant memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dmm.errors import InputError

from .sources import Sound

LOOK_AHEAD_S = 1.5
"""Seconds after a clip in which a beat is searched: the distance of beats at 40 per minute."""


@dataclass(frozen=True)
class Window:
    """One window of a track."""

    index: int
    """Number among the track's windows, from 0."""
    start: int
    """First sample, counted from the track's beginning."""
    sound: Sound
    """The clip, followed by up to ``more_samples`` of the track."""


def cut_windows(
    blocks: Iterable[np.ndarray], clip_samples: int, hop_samples: int, more_samples: int = 0
) -> Iterator[Window]:
    """Cut blocks of a track into windows that begin every ``hop_samples``.

    The remainder at the end gets one more window, aligned to the end, if at least half of that
    window is new; otherwise it is dropped. A track shorter than one clip has no window.

    >>> blocks = [np.arange(20.0)[None], np.arange(20.0, 25.0)[None]]
    >>> [window.start for window in cut_windows(blocks, clip_samples=10, hop_samples=10)]
    [0, 10, 15]
    """
    buffer, buffer_start, index = None, 0, 0
    for block in blocks:
        buffer = block if buffer is None else np.concatenate([buffer, block], axis=1)
        end = buffer_start + buffer.shape[1]
        while index * hop_samples + clip_samples + more_samples <= end:
            start = index * hop_samples
            sound = buffer[:, start - buffer_start :][:, : clip_samples + more_samples]
            yield Window(index, start, sound)
            index += 1
        keep_from = min(index * hop_samples, end - clip_samples)
        if keep_from > buffer_start:
            buffer, buffer_start = buffer[:, keep_from - buffer_start :], keep_from
    if buffer is not None:
        yield from _windows_at_the_end(buffer, buffer_start, index, clip_samples, hop_samples)


def _windows_at_the_end(
    buffer: Sound, buffer_start: int, index: int, clip_samples: int, hop_samples: int
) -> Iterator[Window]:
    """Yield the windows whose ``more_samples`` are cut short by the end, and the one at the end."""
    end = buffer_start + buffer.shape[1]
    while (start := index * hop_samples) + clip_samples <= end:
        yield Window(index, start, buffer[:, start - buffer_start :])
        index += 1
    left_over = end - ((index - 1) * hop_samples + clip_samples)
    if index and 2 * left_over >= clip_samples:
        yield Window(index, end - clip_samples, buffer[:, -clip_samples:])


def checked_and_padded(
    blocks: Iterable[np.ndarray], clip_samples: int, sr: int, *, pad: bool
) -> Iterator[np.ndarray]:
    """Yield a track's blocks, checked; with ``pad``, silence extends a track to one clip.

    InputError for samples that are not finite, for no samples, and for a track shorter than one
    clip without ``pad``.
    """
    n_samples, channels = 0, 1
    for block in blocks:
        if not np.isfinite(block).all():
            raise InputError("not finite: some samples are NaN or infinity")
        n_samples, channels = n_samples + block.shape[1], len(block)
        yield block
    if n_samples == 0:
        raise InputError("no samples: the file holds a header and no sound")
    if n_samples < clip_samples and not pad:
        raise InputError(
            f"too short: {n_samples / sr:.3g} s; the format needs {clip_samples / sr:.4g} s "
            "(--pad to extend)"
        )
    if n_samples < clip_samples:
        yield np.zeros((channels, clip_samples - n_samples), np.float32)


def rms_db(audio: Sound) -> float:
    """RMS of all channels together, in dB of full scale; -inf for digital silence."""
    mean_square = float(np.mean(np.square(audio, dtype=np.float64)))
    return 10 * float(np.log10(mean_square)) if mean_square > 0 else -np.inf


def evenly_spread(items: list[int], at_most: int | None) -> list[int]:
    """Keep ``at_most`` items, spread evenly from first to last; all items for None.

    >>> evenly_spread([0, 1, 2, 3, 4, 5, 6], 3)
    [0, 3, 6]
    """
    if at_most is None or len(items) <= at_most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, at_most).round().astype(int)]
