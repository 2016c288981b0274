"""Disk cache of embeddings: one small file per clip, keyed by its audio and the embedder's version.

A truncated file, and one of another size or with values that are not finite, counts as absent.
Workers return rows and never write, so that a cluster needs no shared cache.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.checkpoints.tokenizers import cache_root
from dmm.embedders import Embedder
from dmm.files import whole_file


def read_cached_row(key: str, embedder: Embedder) -> Float[np.ndarray, " dim"] | None:
    """The cached row of a clip by its ``content_key``, or None."""
    try:
        row = np.load(_row_path(key, embedder), allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return row if row.dtype == np.float32 and is_unit_row(row, embedder.dim) else None


def write_cached_row(key: str, embedder: Embedder, row: Float[np.ndarray, " dim"]) -> None:
    """Write one row, completely or not at all; DmmError if the cache cannot be written."""
    with whole_file(_row_path(key, embedder)) as partial:
        np.save(partial, row)


def is_unit_row(row: np.ndarray, dim: int) -> bool:
    """Whether a row has ``dim`` finite values and a norm of 1, within 1e-3."""
    return row.shape == (dim,) and bool(abs(np.linalg.norm(row) - 1) < 1e-3)


def _row_path(key: str, embedder: Embedder) -> Path:
    folder = cache_root() / "embeddings" / f"{embedder.name}-{embedder.version}"
    return folder / key[:2] / f"{key}.npy"
