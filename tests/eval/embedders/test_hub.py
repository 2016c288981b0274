import shutil
from pathlib import Path

import pytest

from dmm.errors import ModelError
from dmm.registry import load_embedder
from eval.embedders import hub

NAME = "someone/clap-music"


class FakeHub:
    """``snapshot_download`` from a folder: nothing is cached until it is downloaded."""

    def __init__(self, folder, files, cached=False):
        self.folder, self.files, self.has = folder, files, cached
        self.downloads = []

    def __call__(self, name, allow_patterns, local_files_only=False, revision=None):
        if local_files_only and not self.has:
            raise FileNotFoundError("not in the cache")
        if not local_files_only:
            self.downloads.append((name, tuple(allow_patterns)))
            if name != NAME:
                raise OSError("404 Client Error\nmany lines")
            self.has = True
        return str(self.folder)


@pytest.fixture
def fake_hub(made_clap, monkeypatch):
    fake = FakeHub(made_clap, None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake)
    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    return fake


def test_a_hub_name_is_downloaded_once_and_then_taken_from_the_cache(fake_hub):
    for _ in range(2):
        clap = load_embedder("clap", Path(NAME))
    assert clap.dim == 16
    assert len(fake_hub.downloads) == 1


def test_no_pickle_is_asked_for(fake_hub):
    load_embedder("clap", Path(NAME))
    ((_, patterns),) = fake_hub.downloads
    assert not any(Path(name).match(p) for p in patterns for name in ("pytorch_model.bin", "x.pt"))


def test_clap_alone_means_the_default_checkpoint(fake_hub, monkeypatch):
    monkeypatch.setattr("eval.embedders.clap_folder.DEFAULT_CHECKPOINT", Path(NAME))
    assert load_embedder("clap").dim == 16


def test_a_name_the_hub_does_not_know_is_one_line(fake_hub):
    with pytest.raises(
        ModelError, match=r"cannot be downloaded from the Hub \(404 Client Error\); check"
    ):
        load_embedder("clap", Path("someone/else"))


def test_without_a_network_one_line_names_the_remedies(fake_hub, monkeypatch):
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    with pytest.raises(ModelError, match=rf"`hf download {NAME}`.*--weights DIR$"):
        load_embedder("clap", Path(NAME))
    assert fake_hub.downloads == []


def test_a_half_cached_checkpoint_is_completed(fake_hub, made_clap, tmp_path):
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(made_clap / "config.json", half)
    assert not hub._is_complete(half)
    assert hub._is_complete(made_clap)


def test_a_local_folder_needs_no_network(tiny_clap, no_network):
    load_embedder("clap", tiny_clap)


@pytest.mark.parametrize("weights", ["weights", "/no/such/folder", "../clap"])
def test_what_is_neither_a_folder_nor_a_hub_name_is_refused(weights, no_network):
    with pytest.raises(ModelError, match="no folder with a CLAP checkpoint"):
        load_embedder("clap", Path(weights))
