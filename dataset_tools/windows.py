"""Windows of exactly one clip, taken from sound that arrives in blocks: memory stays flat."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dmm.errors import InputError

from .sources import Sound

LOOK_AHEAD_S = 1.5
"""Sound after a clip that a window brings along: a beat at 40 per minute is never further."""


@dataclass(frozen=True)
class Window:
    """One window of a track."""

    index: int
    """Place among the track's windows, from 0."""
    start: int
    """First sample, counted from the track's beginning."""
    sound: Sound
    """The clip, and after it what the track still holds, up to the look-ahead."""


def windows(
    blocks: Iterable[np.ndarray], clip_samples: int, hop_samples: int, more_samples: int = 0
) -> Iterator[Window]:
    """Cut blocks of a track into windows that begin every hop.

    What is left over at the end gets one more window, aligned to the end, if at least half of
    that window is new; else it is dropped. A track shorter than one clip has no window.

    >>> blocks = [np.arange(20.0)[None], np.arange(20.0, 25.0)[None]]
    >>> [window.start for window in windows(blocks, clip_samples=10, hop_samples=10)]
    [0, 10, 15]
    """
    held, held_start, index = None, 0, 0
    for block in blocks:
        held = block if held is None else np.concatenate([held, block], axis=1)
        end = held_start + held.shape[1]
        while index * hop_samples + clip_samples + more_samples <= end:
            start = index * hop_samples
            sound = held[:, start - held_start :][:, : clip_samples + more_samples]
            yield Window(index, start, sound)
            index += 1
        keep_from = min(index * hop_samples, end - clip_samples)
        if keep_from > held_start:
            held, held_start = held[:, keep_from - held_start :], keep_from
    if held is not None:
        yield from _last(held, held_start, index, clip_samples, hop_samples)


def _last(
    held: Sound, held_start: int, index: int, clip_samples: int, hop_samples: int
) -> Iterator[Window]:
    """The windows that had to wait for a look-ahead that never came, and the one at the end."""
    end = held_start + held.shape[1]
    while (start := index * hop_samples) + clip_samples <= end:
        yield Window(index, start, held[:, start - held_start :])
        index += 1
    left_over = end - ((index - 1) * hop_samples + clip_samples)
    if index and 2 * left_over >= clip_samples:
        yield Window(index, end - clip_samples, held[:, -clip_samples:])


def checked(
    blocks: Iterable[np.ndarray], clip_samples: int, sr: int, *, pad: bool
) -> Iterator[np.ndarray]:
    """The blocks, a track shorter than one clip padded with silence.

    InputError for a track that is too short without ``pad``, that has no samples, or samples that
    are not finite.
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


def level_db(audio: Sound) -> float:
    """Measure the RMS of all channels in dB of full scale; -inf for digital silence."""
    mean_square = float(np.mean(np.square(audio, dtype=np.float64)))
    return 10 * float(np.log10(mean_square)) if mean_square > 0 else -np.inf


def spread(items: list[int], at_most: int | None) -> list[int]:
    """Keep all items, or ``at_most`` of them spread evenly from first to last.

    >>> spread([0, 1, 2, 3, 4, 5, 6], 3)
    [0, 3, 6]
    """
    if at_most is None or len(items) <= at_most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, at_most).round().astype(int)]
