"""Inner loops compiled by Numba: sum a note's partials, and mix a note into the piece."""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function by Numba, without the wrapper of a run-time type checker."""
    return njit(cache=True)(unwrap(function))


@compiled
def sum_partials(cycles, ratios, phases, envelopes, hop, sine):
    """Sum partials; ``envelopes`` is interpolated linearly between blocks of ``hop`` samples."""
    out = np.zeros(len(cycles), np.float32)
    for p in range(len(ratios)):
        for block in range(envelopes.shape[1] - 1):
            level = envelopes[p, block]
            step = (envelopes[p, block + 1] - level) / hop
            if level < 1e-6 and step <= 0:
                continue
            for i in range(block * hop, (block + 1) * hop):
                turn = cycles[i] * ratios[p] + phases[p]
                where = (turn - np.floor(turn)) * 2048
                index = int(where)
                frac = np.float32(where - index)
                out[i] += level * (sine[index] + frac * (sine[index + 1] - sine[index]))
                level += step
    return out


@compiled
def add_note(out, wave, start, held, decay, left, right):
    """Add ``wave`` to the stereo ``out`` in place; after ``held`` samples its gain decays.

    ``decay`` is the factor per sample.
    """
    gate = np.float32(1.0)
    left, right, decay = np.float32(left), np.float32(right), np.float32(decay)
    for i in range(min(len(wave), out.shape[1] - start)):
        if i >= held:
            gate *= decay
            if gate < 1e-4:
                break
        sample = wave[i] * gate
        out[0, start + i] += left * sample
        out[1, start + i] += right * sample
