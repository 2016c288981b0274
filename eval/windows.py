"""Cut or fill audio of any length to an embedder's windows: ``--protocol loop`` or ``legacy``.

CLAP's window is 10 s. Its own filling repeats whole copies only and then appends silence: 4.88 s to
a clip of 5.12 s, none to a clip of 5.00 s. Such a small difference in length then changes an
embedding more than other music does. ``loop`` repeats the clip to the last sample, so all lengths
are treated alike. ``legacy`` fills as CLAP does, to reproduce older results.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def fill_windows(
    audio: Float[np.ndarray, " samples"], size: int, protocol: str = "loop"
) -> Sequence[Float[np.ndarray, " size"]]:
    """Windows of ``size`` samples: short audio is repeated, long audio covered at even steps.

    CLAP itself takes one random window of long audio; here all of it is used. ValueError for audio
    without samples.

    >>> fill_windows(np.array([1.0, 2.0, 3.0]), 5)
    [array([1., 2., 3., 1., 2.])]
    >>> fill_windows(np.array([1.0, 2.0, 3.0]), 5, "legacy")
    [array([1., 2., 3., 0., 0.])]
    """
    if len(audio) == 0:
        raise ValueError("the audio has no samples to fill a window with")
    if len(audio) <= size:
        if protocol == "loop":
            return [np.resize(audio, size)]
        whole = np.tile(audio, size // len(audio))
        return [np.pad(whole, (0, size - len(whole)))]
    count = -(-len(audio) // size)
    starts = np.linspace(0, len(audio) - size, count).astype(int)
    return [audio[start : start + size] for start in starts]


def quantise_16_bit(audio: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    """Quantise to 16 bits, truncated towards zero as in CLAP's training; beyond ±1 is clipped.

    This changes an embedding by a cosine of 1e-5, a hundred times more than the choice of library.

    >>> (quantise_16_bit(np.array([-2.0, 1.9 / 32767, 1.0])) * 32767).round(2).tolist()
    [-32767.0, 1.0, 32767.0]
    """
    levels = (np.clip(audio, -1, 1) * np.float32(32767)).astype(np.int16)
    return levels.astype(np.float32) / 32767
