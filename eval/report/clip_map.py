"""Two-dimensional map of all clips' embeddings by their principal components.

Unlike UMAP, principal components preserve distances, depend on no seed, and show no clusters that
few clips do not have.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from ..sets import ClipSet


def clip_map(sets: dict[str, ClipSet]) -> dict[str, Any]:
    """Coordinates of each clip in the plane of PCA, and the two directions' shares of variance.

    The plane is fitted to all sets together, each with the same total weight.
    """
    sizes = [len(own) for own in sets.values()]
    rows = np.concatenate([own.rows.astype(np.float64) for own in sets.values()])
    weight = np.concatenate([np.full(n, 1 / (n * len(sizes))) for n in sizes])
    plane, shares = principal_plane(rows, weight)
    places = iter(((rows - weight @ rows) @ plane.T).round(4).tolist())
    return {
        "method": "PCA",
        "shares": shares,
        "points": [
            {"set": role, "id": clip, "place": next(places)}
            for role, own in sets.items()
            for clip in own.ids
        ],
    }


def principal_plane(
    rows: Float[np.ndarray, "n dim"], weight: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "2 dim"], list[float]]:
    """First two weighted principal directions, and the share of variance of each.

    The largest entry of a direction is positive, so that its sign is not arbitrary.
    """
    centred = (rows - weight @ rows) * np.sqrt(weight)[:, None]
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((2, rows.shape[1]))
    plane[: len(directions)] = directions[:2]
    largest = np.abs(plane).argmax(1)
    signs = np.where(plane[np.arange(2), largest] < 0, -1, 1)
    shares = np.square(sizes) / max(np.square(sizes).sum(), 1e-12)
    return plane * signs[:, None], [float(share) for share in shares[:2]]
