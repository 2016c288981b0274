"""Cut a track into windows of exactly one clip, and refuse those that cannot be learned from."""

import numpy as np
from jaxtyping import Float

from dmm.errors import InputError

SILENCE_DB = -60.0
"""Windows whose RMS lies below this, in dB of full scale, are refused."""


def window_starts(n_samples: int, clip_samples: int, hop_samples: int) -> list[int]:
    """List the first samples of the windows of a track at least one clip long.

    What is left over at the end gets one more window, aligned to the end, if at least half of
    that window is new; else it is dropped.

    >>> window_starts(25, clip_samples=10, hop_samples=10)
    [0, 10, 15]
    >>> window_starts(24, clip_samples=10, hop_samples=10)
    [0, 10]
    """
    starts = list(range(0, n_samples - clip_samples + 1, hop_samples))
    left_over = n_samples - (starts[-1] + clip_samples)
    if 2 * left_over >= clip_samples:
        starts.append(n_samples - clip_samples)
    return starts


def fit_to_clip(
    audio: Float[np.ndarray, "channels samples"], clip_samples: int, sr: int, *, pad: bool
) -> Float[np.ndarray, "channels longer"]:
    """Pad a track shorter than one clip with silence; without ``pad`` that is an InputError.

    Also InputError for a track with no samples, or with samples that are not finite.
    """
    n_samples = audio.shape[1]
    if n_samples == 0:
        raise InputError("no samples: the file holds a header and no sound")
    if not np.isfinite(audio).all():
        raise InputError("not finite: some samples are NaN or infinity")
    if n_samples >= clip_samples:
        return audio
    if not pad:
        is_s, needed_s = n_samples / sr, clip_samples / sr
        raise InputError(
            f"too short: {is_s:.3g} s; the format needs {needed_s:.4g} s (--pad to extend)"
        )
    return np.pad(audio, ((0, 0), (0, clip_samples - n_samples)))


def level_db(audio: Float[np.ndarray, "channels samples"]) -> float:
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
