from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from dmm.errors import InputError
from dmm.registry import load_embedder
from eval.reference_file import read_statistics, write_statistics
from eval.sample import Sample
from eval.scores import compute_scores
from eval.sets import make_sample, open_clips, open_reference


@pytest.fixture
def embedder():
    return load_embedder("mel-stats")


def test_a_score_from_the_file_equals_that_from_the_folder(clips, dataset, embedder, tmp_path):
    ours, real = open_clips(clips, embedder), open_reference(dataset, embedder)
    write_statistics(tmp_path / "real.safetensors", real, embedder)
    kept, described = read_statistics(tmp_path / "real.safetensors", embedder)
    assert described["folder"] == "test"
    names = ("fad", "kad", "cosine", "vendi")
    from_folder, from_file = (
        compute_scores(make_sample(ours, x, None), names) for x in (real, kept)
    )
    for name in names:
        assert from_file[name].value == pytest.approx(from_folder[name].value, abs=1e-12)
        assert from_file[name].excess == pytest.approx(from_folder[name].excess, abs=1e-12)


def test_the_gaussian_is_fitted_to_all_of_very_many_clips(
    clips, dataset, embedder, tmp_path, monkeypatch
):
    monkeypatch.setattr("eval.reference_file.MAX_ROWS", 4)
    ours, real = open_clips(clips, embedder), open_reference(dataset, embedder)
    write_statistics(tmp_path / "real.safetensors", real, embedder)
    kept, _ = read_statistics(tmp_path / "real.safetensors", embedder)
    assert (len(kept.rows), kept.gaussian.n) == (4, 8)
    few = compute_scores(Sample(ours.rows, ours.prompts, kept), ["fad"])["fad"].value
    assert few == pytest.approx(compute_scores(make_sample(ours, real, None), ["fad"])["fad"].value)


def test_a_file_of_another_embedder_is_refused_in_one_line(dataset, embedder, tmp_path):
    path = tmp_path / "real.safetensors"
    write_statistics(path, open_reference(dataset, embedder), embedder)
    other = load_embedder("mel-stats")
    other.identity = replace(other.identity, name="clap", protocol="legacy")
    with pytest.raises(InputError, match=r"made by mel-stats .* embedded by clap .*make it again"):
        read_statistics(path, other)


@pytest.mark.parametrize("content", [b"", b"\x80\x04cos\nsystem\n(S'false'\ntR.", b"x" * 99])
def test_other_files_are_refused(embedder, tmp_path, content):
    path = tmp_path / "real.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no reference statistics"):
        read_statistics(path, embedder)


def test_a_safetensors_file_of_another_kind_is_refused(embedder, tmp_path):
    path = tmp_path / "lora.safetensors"
    save_file({"rows": np.zeros((2, 3), np.float32)}, path)
    with pytest.raises(InputError, match="make them: dmm eval stats"):
        read_statistics(path, embedder)
