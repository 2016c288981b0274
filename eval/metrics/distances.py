"""Distances between all embeddings of two sets, by one matrix product."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import squareform


def squared_distances(
    x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]
) -> Float[np.ndarray, "n m"]:
    """Squared Euclidean distances in float64, 0 or more; exact to about 1e-15 for unit rows.

    >>> squared_distances(np.eye(2), np.array([[3.0, 0.0]]))
    array([[ 4.],
           [10.]])
    """
    x64 = x.astype(np.float64)
    y64 = (
        x64 if y is x else y.astype(np.float64)
    )  # numpy multiplies a matrix by its own transpose in half the time
    squares = -2 * (x64 @ y64.T)
    squares += np.square(x64).sum(1)[:, None]
    squares += np.square(y64).sum(1)
    return np.maximum(squares, 0, out=squares)


def pair_distances(x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " pairs"]:
    """Squared Euclidean distances of all pairs of different rows, each pair once."""
    return squareform(squared_distances(x, x), checks=False)
