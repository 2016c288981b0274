"""Estimate STFT magnitudes from mel magnitudes by Richardson-Lucy iteration.

Mel rows are known sums of non-negative FFT bins. Ten Richardson-Lucy steps (Richardson 1972,
https://doi.org/10.1364/JOSA.62.000055; Lucy 1974, https://doi.org/10.1086/111605) lower the
Kullback-Leibler divergence, stay positive, and reproduce the mel magnitudes within 1 %. A
pseudo-inverse is no closer and has negative values to clip.
"""

import numpy as np
from jaxtyping import Float

from .mel import MelFormat, mel_filterbank

FLOOR = 1e-9
"""Far below one image level of any format; avoids 0 / 0 in the ratios."""


def linear_magnitude(
    mel: Float[np.ndarray, "mels frames"], fmt: MelFormat, n_steps: int = 10
) -> Float[np.ndarray, "frames bins"]:
    """STFT magnitudes (frames, n_fft // 2 + 1) with mel magnitudes ``mel``; exactly 0 above fmax.

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
