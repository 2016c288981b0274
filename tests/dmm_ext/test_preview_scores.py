"""Scores of preview clips against their definitions."""

from pathlib import Path

import numpy as np
import pytest

from dmm.codec.image import write_image
from dmm.codec.mel import load_format
from dmm.errors import InputError
from dmm_ext.preview_scores import MAX_REFERENCE, PreviewScorer, reference_embeddings


class FakeEmbedder:
    """Files to rows by name; words to rows; records what it embeds."""

    name, version, dim, protocol, logit_scale = "fake", "1", 2, "none", 1.0
    identity = None

    def __init__(self):
        self.embedded = []

    def embed(self, audio_files):
        self.embedded += audio_files
        east, north = [1.0, 0.0], [0.0, 1.0]
        return np.array([east if "east" in p.name else north for p in audio_files], np.float32)

    def embed_sounds(self, sounds, sr):
        raise NotImplementedError

    def embed_text(self, texts):
        return self.embed([Path(text) for text in texts])


def test_scores_are_those_of_the_definitions():
    files = [Path(name) for name in ("east", "north", "east", "east")]
    reference = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    scores = PreviewScorer(FakeEmbedder(), ["east", "north"], reference).scores(
        files, ["east", "north", "north", "east"]
    )
    assert scores["preview/diversity"] == pytest.approx(3 / 6)  # pairs at right angles
    assert scores["preview/prompt_diversity"] == pytest.approx((0 + 1) / 2)
    assert scores["preview/similarity"] == pytest.approx(3 / 4)
    # both sets vary along one line, with variances 1/2 and 1 along it, means 1/4, 1/4 apart
    expected = 2 * (1 / 4) ** 2 + (np.sqrt(1 / 2) - 1) ** 2
    assert scores["preview/fad"] == pytest.approx(expected, abs=1e-6)
    alone = PreviewScorer(FakeEmbedder(), ["east"], reference).scores(files[:1], ["east"])
    assert alone == {"preview/embedder": "fake", "preview/similarity": 1.0}


def test_real_clips_are_embedded_once_until_they_change(tmp_path):
    embedder, fmt = FakeEmbedder(), load_format("nano")
    image = np.zeros((256, 4), np.uint8)
    for name in ("east", "north"):
        write_image(tmp_path / f"{name}.png", image, fmt)
    cache = tmp_path / "previews" / "reference.npz"
    rows = [reference_embeddings(tmp_path, embedder, cache) for _ in range(2)]
    assert rows[0].tolist() == rows[1].tolist() == [[1, 0], [0, 1]]
    assert [path.name for path in embedder.embedded] == ["east.flac", "north.flac"]
    write_image(tmp_path / "east.png", image + np.uint8(9), fmt)
    reference_embeddings(tmp_path, embedder, cache)
    assert len(embedder.embedded) == 4
    embedder.version = "2"
    reference_embeddings(tmp_path, embedder, cache)
    assert len(embedder.embedded) == 6


def test_of_many_real_clips_some_are_embedded_evenly(tmp_path):
    embedder, fmt = FakeEmbedder(), load_format("nano")
    for n in range(MAX_REFERENCE * 3 // 2):
        write_image(tmp_path / f"{n:03d}.png", np.zeros((256, 1), np.uint8), fmt)
    rows = reference_embeddings(tmp_path, embedder, tmp_path / "reference.npz")
    embedded = [int(path.stem) for path in embedder.embedded]
    assert len(rows) == MAX_REFERENCE and embedded[:4] == [0, 1, 3, 4] and embedded[-1] == 94


def test_one_real_clip_is_refused(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((256, 1), np.uint8), load_format("nano"))
    with pytest.raises(InputError, match="1 mel images"):
        reference_embeddings(tmp_path, FakeEmbedder(), tmp_path / "reference.npz")
