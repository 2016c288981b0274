"""Distances between all embeddings of two sets, by one matrix product."""

import numpy as np
from jaxtyping import Float


def squared_distances(
    x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]
) -> Float[np.ndarray, "n m"]:
    """Squared Euclidean distances in float64, never below 0; of unit rows right to about 1e-15.

    >>> squared_distances(np.eye(2), np.array([[3.0, 0.0]]))
    array([[ 4.],
           [10.]])
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    squares_x, squares_y = (np.square(z).sum(1) for z in (x, y))
    return (squares_x[:, None] + squares_y - 2 * (x @ y.T)).clip(0)


def pair_distances(x: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " pairs"]:
    """Squared Euclidean distances of all pairs of different rows, each pair once."""
    return squared_distances(x, x)[np.triu_indices(len(x), 1)]
