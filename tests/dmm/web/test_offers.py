import json
import shutil

import pytest

from dmm.errors import DmmError, InputError
from dmm.web import offers
from dmm.web.offers import bundle_list, exported_bundle, open_or_export_bundles
from dmm.web.site import write_site


def test_bundles_of_one_name_get_paths_of_their_own(toy):
    found = open_or_export_bundles([toy, toy])
    assert [offer.path for offer in found] == ["toy", "toy-2"]
    assert bundle_list(found)["bundles"][1] == {"name": "toy", "path": "toy-2"}


def test_only_a_bundles_own_files_are_offered(toy):
    (offer,) = open_or_export_bundles([toy])
    assert offer.file("mel.json") == toy / "mel.json"
    assert offer.file("bundle.json") == toy / "bundle.json"
    for name in ("../toy/mel.json", "secret.txt", "/etc/passwd", ""):
        assert offer.file(name) is None


@pytest.mark.parametrize("name", ["bundle.json", "mel.json"])
def test_a_bundle_that_lacks_a_file_is_refused(toy, tmp_path, name):
    folder = shutil.copytree(toy, tmp_path / "mine")
    (folder / name).unlink()
    with pytest.raises(DmmError, match=name):
        open_or_export_bundles([folder])


def test_what_is_neither_bundle_nor_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="name a bundle or a checkpoint"):
        open_or_export_bundles([tmp_path / "nothing"])


def test_a_checkpoint_is_exported_once(tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("DMM_CACHE", str(tmp_path))
    calls = []

    def export(options, out):
        calls.append((options.model, options.settings.fmt.name, len(options.prompts)))
        out.mkdir(parents=True)

    monkeypatch.setattr("dmm.export.exporter.export", export)
    first, second = exported_bundle(tiny_checkpoint), exported_bundle(tiny_checkpoint)
    assert first == second and first.name == "tiny"
    assert calls == [(tiny_checkpoint, "nano", 8)]


def test_without_an_argument_the_fastest_model_of_the_repository_plays(tmp_path, monkeypatch):
    monkeypatch.setattr(offers, "MODELS", tmp_path)
    for name in reversed(offers.DEFAULT_MODELS):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
        assert offers.default_model() == tmp_path / name


def test_a_site_holds_page_and_bundles_and_never_replaces_anything(toy, tmp_path):
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("page")
    found = open_or_export_bundles([toy])
    write_site(page, found, tmp_path / "site")
    listed = json.loads((tmp_path / "site/bundles/index.json").read_text())
    folder = tmp_path / "site/bundles" / listed["bundles"][0]["path"]
    assert (tmp_path / "site/index.html").read_text() == "page"
    for file in found[0].bundle.files():
        assert (folder / file.file).read_bytes() == (toy / file.file).read_bytes()
    with pytest.raises(InputError, match="not empty already"):
        write_site(page, found, tmp_path / "site")
