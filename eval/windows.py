"""How a clip of any length fills an embedder's window: ``--protocol loop`` or ``legacy``.

A clip of 5.12 s goes once into CLAP's 10 s. CLAP's own filling repeats whole copies only, so it
appends 4.88 s of silence, but none to a clip of 5.00 s: the same clips, cut that little shorter,
then lie twice as far from themselves as from each other. ``loop`` goes on repeating to the last
sample and so treats all lengths alike. ``legacy`` fills as CLAP does, to repeat older figures.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def windows(
    audio: Float[np.ndarray, " samples"], size: int, protocol: str = "loop"
) -> Sequence[Float[np.ndarray, " size"]]:
    """Whole windows of ``size`` samples: short sound is repeated, long sound covered evenly.

    CLAP itself cuts a random window out of long sound; nothing here is random. ValueError for no
    samples.

    >>> windows(np.array([1.0, 2.0, 3.0]), 5)
    [array([1., 2., 3., 1., 2.])]
    >>> windows(np.array([1.0, 2.0, 3.0]), 5, "legacy")
    [array([1., 2., 3., 0., 0.])]
    """
    if len(audio) == 0:
        raise ValueError("a sound of no samples fills no window")
    if len(audio) <= size:
        if protocol == "loop":
            return [np.resize(audio, size)]
        whole = np.tile(audio, size // len(audio))
        return [np.pad(whole, (0, size - len(whole)))]
    count = -(-len(audio) // size)
    starts = np.linspace(0, len(audio) - size, count).astype(int)
    return [audio[start : start + size] for start in starts]


def sixteen_bits(audio: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    """The sound after 16 bits, cut off towards zero as in CLAP's training; beyond 1 is clipped.

    It moves an embedding by 1e-5 of cosine, a hundred times more than the choice of library.

    >>> (sixteen_bits(np.array([-2.0, 1.9 / 32767, 1.0])) * 32767).round(2).tolist()
    [-32767.0, 1.0, 32767.0]
    """
    levels = (np.clip(audio, -1, 1) * np.float32(32767)).astype(np.int16)
    return levels.astype(np.float32) / 32767
