import subprocess

import pytest

from dmm import engine
from dmm.errors import EngineError


def test_a_missing_checkout_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv(engine.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(EngineError, match="run: dmm setup"):
        engine.find_engine()


def test_a_checkout_at_another_commit_is_refused(monkeypatch, tmp_path):
    (tmp_path / "sdxl_train_network.py").touch()
    for command in (
        ["init", "-q"],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setenv(engine.VARIABLE, str(tmp_path))
    with pytest.raises(EngineError, match="the hooks need ae72efb92bab"):
        engine.find_engine()


def test_a_clone_that_fails_leaves_nothing_and_says_what_to_do(monkeypatch, tmp_path):
    pin = engine.Pin(str(tmp_path / "nowhere"), "v0", "0" * 40, ())
    monkeypatch.setattr(engine, "read_pin", lambda: pin)
    monkeypatch.setenv(engine.VARIABLE, str(tmp_path / "third_party" / "sd-scripts"))
    with pytest.raises(EngineError, match="cannot be cloned"):
        engine.set_up_engine()
    assert list((tmp_path / "third_party").iterdir()) == []
