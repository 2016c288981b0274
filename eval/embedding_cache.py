"""Embeddings that are known already, a small file each, by the sound's and the embedder's identity.

A file that is torn, of another size or not finite counts as absent. Only the process that was
asked writes, so that machines which embed for it need no common cache.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.checkpoints.tokenizers import cache_root
from dmm.embedders import Embedder
from dmm.files import whole_file


def cached_row(key: str, embedder: Embedder) -> Float[np.ndarray, " dim"] | None:
    """The row of the sound that ``content_key`` names, or None."""
    try:
        row = np.load(_path(key, embedder), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return row if row.dtype == np.float32 and is_direction(row, embedder.dim) else None


def keep_row(key: str, embedder: Embedder, row: Float[np.ndarray, " dim"]) -> None:
    """Write one row, whole or not at all; DmmError if the cache cannot be written."""
    with whole_file(_path(key, embedder)) as partial:
        np.save(partial, row)


def is_direction(row: np.ndarray, dim: int) -> bool:
    """Whether a row has its embedder's length and is of unit length."""
    return row.shape == (dim,) and bool(abs(np.linalg.norm(row) - 1) < 1e-3)


def _path(key: str, embedder: Embedder) -> Path:
    folder = cache_root() / "embeddings" / f"{embedder.name}-{embedder.version}"
    return folder / key[:2] / f"{key}.npy"
