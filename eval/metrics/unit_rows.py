"""Check that embeddings are finite and of length 1 (within 0.001), as all metrics require."""

import numpy as np
from jaxtyping import Float

TOLERANCE = 1e-3
"""Largest difference of a length from 1."""


def require_unit_rows(rows: Float[np.ndarray, "n dim"], name: str) -> None:
    """Raise ValueError unless all rows are finite and of length 1 within ``TOLERANCE``.

    The message has the number of faulty rows, and the index and length of the first.

    >>> require_unit_rows(np.array([[1.0, 0.0], [0.0, 2.0]]), "clips")
    Traceback (most recent call last):
        ...
    ValueError: 1 of 2 clips: embedding not of length 1, first row 1 (length 2)
    """
    lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(1))
    for bad, fault in (
        (~np.isfinite(lengths), "not finite"),
        (abs(lengths - 1) > TOLERANCE, "not of length 1"),
    ):
        if count := int(bad.sum()):
            first = int(bad.argmax())
            raise ValueError(
                f"{count} of {len(rows)} {name}: embedding {fault}, first row {first} "
                f"(length {lengths[first]:g})"
            )
