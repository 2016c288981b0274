"""Whether two clips are one sound: the best agreement of their mel pictures over all shifts.

A second opinion on memorising that owes nothing to the embedder, which calls alike what merely is
of a kind: the same music is there at the same moments, or it is not.
"""

import numpy as np
from jaxtyping import Float
from PIL import Image

ROWS, FRAMES = 64, 256


def picture_likeness(a: Image.Image, b: Image.Image) -> float:
    """Highest correlation of two mel pictures of level over circular shifts in time, -1..1.

    1 for the same sound, also if shifted or at another loudness. Each row's mean is taken out, so
    that a like timbre alone does not count. 0 if one of them never changes.
    """
    x, y = _changes(a), _changes(b)
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    if size == 0:
        return 0.0
    spectrum = np.fft.rfft(x, axis=1) * np.fft.rfft(y, axis=1).conj()
    return float(np.fft.irfft(spectrum, FRAMES, axis=1).sum(0).max() / size)


def _changes(picture: Image.Image) -> Float[np.ndarray, "64 256"]:
    small = picture.convert("L").resize((FRAMES, ROWS), Image.Resampling.BOX)
    levels = np.asarray(small, np.float64)
    return levels - levels.mean(1, keepdims=True)
