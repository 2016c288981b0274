"""Files written by earlier versions still load (``tests/golden/850b165``, made by that commit)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dmm.registry import load_embedder
from eval.clip_audio import cached_audio_properties
from eval.clips import embed_files
from eval.embedders.nano_clap import load_nano_clap
from eval.listening.judges import load_judges, most_probable_label
from eval.reference_file import read_statistics

OLD = Path(__file__).parents[1] / "golden" / "850b165"
TONE = OLD / "tone.flac"
EXPECTED = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))["nano-clap"]


def test_a_statistics_file_is_read_by_the_embedder_that_made_it():
    reference, metadata = read_statistics(OLD / "reference.safetensors", load_embedder("nano-clap"))
    assert (len(reference.rows), reference.gaussian.n, metadata["folder"]) == (8, 8, "real")
    assert reference.prompts == [None] * 8
    assert reference.gaussian.mean == pytest.approx(reference.rows.mean(0), abs=1e-6)


def test_embeddings_and_properties_are_taken_from_the_cache(tmp_path):
    shutil.copytree(OLD / "cache", tmp_path / "cache")
    (row,) = (tmp_path / "cache").rglob("*.npy")
    kept = np.load(row)
    np.save(row, -kept)  # shows that it is read, not computed
    found = embed_files([TONE], load_embedder("nano-clap"), minimum=1)
    assert found.rows[0] == pytest.approx(-kept)
    assert cached_audio_properties(TONE, found.sha256[0]).samples == 22050 // 4
    assert len([*(tmp_path / "cache").rglob("*.*")]) == 2


def test_the_shipped_weights_give_the_same_embeddings_and_attributes():
    nano = load_nano_clap()
    assert nano.version == EXPECTED["version"]
    assert nano.embed([TONE])[0] == pytest.approx(EXPECTED["audio"], abs=1e-4)
    assert nano.embed_text(["piano, slow"])[0] == pytest.approx(EXPECTED["text"], abs=1e-4)
    (detected,) = load_judges().probabilities_of_files([TONE])
    assert detected.instruments == pytest.approx(EXPECTED["instruments"], abs=1e-3)
    assert most_probable_label(detected.key) == EXPECTED["key"]
