"""Scores of preview clips: their diversity, similarity to the prompts, and FAD to real clips.

Real clips are mel images of the val split, decoded to audio like the previews, so that the codec
affects both sides. They are embedded once per run and cached beside the previews.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dmm.codec.image import read_image
from dmm.embedders import Embedder, TextEmbedder
from dmm.errors import InputError
from dmm.files import sha256_file, whole_file
from dmm.registry import load_metric
from dmm.sound.audio import write_audio

from .preview_settings import evenly_spaced

MAX_REFERENCE = 64
"""Largest number of real clips to compare with, because decoding an image takes seconds."""


class PreviewScorer:
    """An embedder with the embeddings that are constant in a run: of prompts and real clips."""

    def __init__(
        self, embedder: Embedder, prompts: Sequence[str], reference: np.ndarray | None
    ) -> None:
        """``reference`` are embeddings (n, dim) of real clips."""
        self.embedder, self.reference = embedder, reference
        self.identity = [embedder.name, embedder.version, _rows_sha256(reference)]
        self.diversity, self.distance = load_metric("diversity"), load_metric("fad")
        self.prompt_embeddings: dict[str, np.ndarray] = {}
        if isinstance(embedder, TextEmbedder):
            embeddings = embedder.embed_text(prompts)
            self.prompt_embeddings = dict(zip(prompts, embeddings, strict=True))

    def scores(self, files: Sequence[Path], prompts: Sequence[str]) -> dict[str, float | str]:
        """Score clips: entries ``preview/...`` for the log, with the embedder's name.

        ``diversity`` over all pairs, ``prompt_diversity`` over pairs of one prompt, ``similarity``
        the mean cosine of clip and prompt, ``fad`` to the real clips. Scores that cannot be
        computed, by this embedder or from so few clips, are left out.
        """
        rows = self.embedder.embed(files)
        found: dict[str, float | str] = {"preview/embedder": self.embedder.name}
        if len(rows) > 1:
            found["preview/diversity"] = self.diversity(rows)
        by_prompt = [rows[own] for own in _indices_by_prompt(prompts) if len(own) > 1]
        if by_prompt:
            found["preview/prompt_diversity"] = float(np.mean([*map(self.diversity, by_prompt)]))
        if self.prompt_embeddings:
            own = np.stack([self.prompt_embeddings[prompt] for prompt in prompts])
            found["preview/similarity"] = float((rows * own).sum(1).mean())
        if self.reference is not None and len(rows) > 1:
            found["preview/fad"] = self.distance(rows, self.reference)
        return found


def _indices_by_prompt(prompts: Sequence[str]) -> list[list[int]]:
    """Indices of the clips of each prompt.

    >>> _indices_by_prompt(["a", "b", "a"])
    [[0, 2], [1]]
    """
    order = sorted(range(len(prompts)), key=lambda i: prompts[i])
    return [list(indices) for _, indices in groupby(order, key=lambda i: prompts[i])]


def reference_embeddings(folder: Path, embedder: Embedder, cache: Path) -> np.ndarray:
    """Embeddings (n, dim) of up to ``MAX_REFERENCE`` mel images of a folder, evenly spaced.

    They are read from ``cache`` while embedder and images are the same. InputError if the folder
    has fewer than two images, or an image cannot be read.
    """
    images = evenly_spaced(sorted(folder.glob("*.png")), MAX_REFERENCE)
    if len(images) < 2:
        raise InputError(
            f"preview_reference {folder}: {len(images)} mel images (*.png); 2 or more are needed: "
            "name the val split of a dataset, or leave it out"
        )
    key = _cache_key(embedder, images)
    if cache.is_file():
        with np.load(cache) as cached:
            if str(cached["key"]) == key:
                return cached["rows"]
    with TemporaryDirectory() as decoded:
        rows = embedder.embed([_decode_to_file(image, Path(decoded)) for image in images])
    with whole_file(cache) as partial:
        np.savez(partial, rows=rows, key=np.array(key))
    return rows


def _rows_sha256(rows: np.ndarray | None) -> str | None:
    return None if rows is None else hashlib.sha256(rows.tobytes()).hexdigest()


def _decode_to_file(image: Path, folder: Path) -> Path:
    """Decode a mel image into a FLAC file."""
    from dmm.codec.decode import decode

    levels, fmt = read_image(image)
    path = folder / f"{image.stem}.flac"
    write_audio(path, decode(levels, fmt), fmt.sr)
    return path


def _cache_key(embedder: Embedder, images: Sequence[Path]) -> str:
    facts = [embedder.name, embedder.version, [sha256_file(image) for image in images]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
