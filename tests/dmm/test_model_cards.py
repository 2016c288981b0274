import hashlib

import pytest

from dmm import model_cards
from dmm.errors import ModelError
from dmm.model_cards import card_hashes, verify_against_card


@pytest.fixture
def model(tmp_path):
    """A model file with a card that names its hash."""
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(b"weights" * 100)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    table = f"# tiny\n\n| | |\n|---|---|\n| sha256 of `{path.name}` | `{sha256}` |\n"
    (tmp_path / "README.md").write_text(table, encoding="utf-8")
    return path


def test_the_file_that_its_card_names_passes(model):
    assert list(card_hashes(model.parent)) == ["tiny.safetensors"]
    verify_against_card(model)


@pytest.mark.parametrize(
    "damaged", [b"weights" * 99, b"Weights" + b"weights" * 99], ids=["truncated", "altered"]
)
def test_another_file_of_that_name_is_refused_with_a_remedy(model, damaged):
    verify_against_card(model)
    model.write_bytes(damaged)
    with pytest.raises(ModelError, match=r"tiny\.safetensors: damaged or altered .*fetch it again"):
        verify_against_card(model)


def test_a_missing_file_is_refused_with_a_remedy(model):
    model.unlink()
    with pytest.raises(ModelError, match="no such file; fetch it again"):
        verify_against_card(model)


def test_a_file_that_no_card_names_passes(model, tmp_path):
    other = tmp_path / "mine.safetensors"
    other.write_bytes(b"mine")
    verify_against_card(other)
    (tmp_path / "README.md").unlink()
    model.write_bytes(b"another")
    verify_against_card(model)


def test_a_file_is_hashed_once_until_it_changes(model, monkeypatch):
    hashed = []
    monkeypatch.setattr(model_cards, "sha256_file", lambda path: hashed.append(path) or "0" * 64)
    first = model_cards.sha256_of(model)
    assert model_cards.sha256_of(model) == first
    model.write_bytes(b"more weights" * 100)
    model_cards.sha256_of(model)
    assert len(hashed) == 2
