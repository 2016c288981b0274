"""Bytes of an optimizer's state and of one update, by the engine's names of optimizers.

Taken from the sources: torch.optim and transformers (Adafactor) as installed, bitsandbytes,
prodigyopt, dadaptation, schedulefree and lion-pytorch as of 2026.
"""

from collections.abc import Iterable
from math import ceil, prod

STATES = {
    "adamw": 2, "adam": 2, "nadam": 2, "radam": 2, "adamax": 2, "adadelta": 2, "rprop": 2,
    "adagrad": 1, "rmsprop": 1, "asgd": 1, "sgd": 0, "sgdnesterov": 1, "lion": 1,
    "pagedadamw": 2, "pagedadamw32bit": 2, "prodigy": 4,
    "dadaptation": 3, "dadaptadampreprint": 3, "dadaptadam": 3, "dadaptadagrad": 3,
    "dadaptadan": 5, "dadaptadanip": 5, "dadaptlion": 2, "dadaptsgd": 3,
    "adamwschedulefree": 2, "radamschedulefree": 2, "sgdschedulefree": 1,
}  # fmt: skip
"""State numbers per trained number, in the same precision. Prodigy also stores the starting weights
that are not zero."""
STATES_8BIT = {
    "adamw8bit": 2, "pagedadamw8bit": 2, "lion8bit": 1, "pagedlion8bit": 1, "sgdnesterov8bit": 1,
}  # fmt: skip
SMALL, BLOCK = 4096, 256
"""bitsandbytes stores smaller matrices in 32 bits, and a scale for each block of the others."""
COPIES = ("adamw", "adam", "nadam", "radam", "adamax")
"""Optimizers that allocate one copy of all weights per step (torch's foreach kernels: the root of
the second moment)."""

MatrixCounts = Iterable[tuple[tuple[int, ...], int]]
"""Shapes of matrices, each with the number of matrices."""


def optimizer_bytes(name: str, matrices: MatrixCounts, itemsize: int) -> int | None:
    """Bytes of the optimizer's state for matrices of ``itemsize`` bytes per number.

    None for an optimizer that is not known here.

    >>> optimizer_bytes("adamw", [((16, 320), 1)], 4)
    40960
    """
    if name == "adafactor":
        return sum(itemsize * count * _adafactor_state_size(shape) for shape, count in matrices)
    if name in STATES_8BIT:
        return sum(
            STATES_8BIT[name] * count * _bytes_in_8_bits(prod(shape)) for shape, count in matrices
        )
    if name not in STATES:
        return None
    return STATES[name] * itemsize * sum(prod(shape) * count for shape, count in matrices)


def update_bytes(name: str, matrices: MatrixCounts, itemsize: int) -> int:
    """Temporary bytes within one update of all matrices."""
    sizes = [(prod(shape), count) for shape, count in matrices]
    if name in COPIES:
        return itemsize * sum(size * count for size, count in sizes)
    return itemsize * max((size for size, _ in sizes), default=0)


def _adafactor_state_size(shape: tuple[int, ...]) -> int:
    """Count of numbers in Adafactor's state: sums over rows and columns instead of a matrix."""
    if len(shape) < 2:
        return prod(shape)
    return prod(shape[:-1]) + prod(shape[:-2]) * shape[-1]


def _bytes_in_8_bits(size: int) -> int:
    """Bytes of ``size`` state numbers in bitsandbytes' 8-bit format."""
    return 4 * size if size < SMALL else size + 4 * ceil(size / BLOCK)
