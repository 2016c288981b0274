"""Correlation of two mel images over all shifts in time: about 1 for copies of one recording.

Unlike an embedder's cosine, it does not rise for clips that are merely of one kind.
"""

import numpy as np
from jaxtyping import Float
from PIL import Image

ROWS, FRAMES = 64, 256


def image_correlation(a: Image.Image, b: Image.Image) -> float:
    """Highest correlation of two mel images over circular shifts in time, -1..1.

    1 for the same audio, also if shifted or at another loudness. Each row's mean is subtracted, so
    that equal timbre alone does not count. 0 if an image is constant in time.
    """
    x, y = _centred_rows(a), _centred_rows(b)
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    if size == 0:
        return 0.0
    spectrum = np.fft.rfft(x, axis=1) * np.fft.rfft(y, axis=1).conj()
    return float(np.fft.irfft(spectrum, FRAMES, axis=1).sum(0).max() / size)


def _centred_rows(image: Image.Image) -> Float[np.ndarray, "64 256"]:
    small = image.convert("L").resize((FRAMES, ROWS), Image.Resampling.BOX)
    levels = np.asarray(small, np.float64)
    return levels - levels.mean(1, keepdims=True)
