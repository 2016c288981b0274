"""The Huber threshold annealed over training, from wide (close to L2) to narrow (close to L1).

sd-scripts can vary the threshold over the diffusion timestep only. It reads ``args.huber_c``
anew at every step, so with its ``constant`` schedule the value set here is the one used.
"""

import math

ANNEALINGS = ("linear", "cosine", "exponential")


def annealed(start: float, end: float, progress: float, annealing: str) -> float:
    """Threshold after a share ``progress`` (0..1) of the training.

    >>> [round(annealed(0.15, 0.05, p, "linear"), 3) for p in (0, 0.5, 1)]
    [0.15, 0.1, 0.05]
    >>> round(annealed(0.15, 0.05, 0.5, "exponential"), 4)  # the geometric mean
    0.0866
    """
    progress = min(max(progress, 0.0), 1.0)
    if annealing == "linear":
        return start + (end - start) * progress
    if annealing == "cosine":
        return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
    if annealing == "exponential":
        return start * (end / start) ** progress
    raise ValueError(f"annealing is one of {', '.join(ANNEALINGS)}; got {annealing!r}")
