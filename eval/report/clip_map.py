"""Where clips and real clips lie beside each other, drawn flat by their principal components.

Principal components, because they keep distances as they are, need no further package and no
chance: UMAP draws islands out of noise when there are few clips.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from ..sets import ClipSet


def clip_map(sets: dict[str, ClipSet]) -> dict[str, Any]:
    """Two coordinates for each clip, in cosine distances' unit, and their share of all variance.

    The plane is that of the widest spread of all sets together, each weighing alike.
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
    """The two directions of the widest weighted spread, and the share of it that each has.

    A direction's largest entry is positive, so that it does not flip by chance.
    """
    centred = (rows - weight @ rows) * np.sqrt(weight)[:, None]
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((2, rows.shape[1]))
    plane[: len(directions)] = directions[:2]
    largest = np.abs(plane).argmax(1)
    signs = np.where(plane[np.arange(2), largest] < 0, -1, 1)
    shares = np.square(sizes) / max(np.square(sizes).sum(), 1e-12)
    return plane * signs[:, None], [float(share) for share in shares[:2]]
