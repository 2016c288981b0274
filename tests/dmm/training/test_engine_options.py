import json

import pytest

from dmm.engine import read_pin
from dmm.errors import EngineError
from dmm.training import engine_options
from dmm.training.engine_options import PATH, Option, entries_sha256, options_text, read_options
from dmm.training.known_settings import known_options
from dmm.training.launcher import LAUNCHER_OPTIONS, STATED_ELSEWHERE


@pytest.fixture
def read_text(tmp_path, monkeypatch):
    """Reads a list of the given text in the committed one's place."""
    monkeypatch.setattr(engine_options, "PATH", tmp_path / "options.json")

    def read(text):
        engine_options.PATH.write_text(text)
        return read_options.__wrapped__()

    return read


def test_the_committed_list_knows_both_trainers_and_the_plugin():
    options = read_options()
    assert options["network_dim"] == Option("int")
    assert options["cache_text_encoder_outputs"].trainers == ("sdxl",)
    assert options["huber_over"] == Option(
        "str", choices=("training", "timestep"), default="training", owner="plugin"
    )
    assert options["lr_warmup_steps"].kind == "number" and options["optimizer_args"].is_list
    assert options["max_token_length"].choices == ("150", "225")


def test_the_list_holds_facts_and_no_help_texts():
    entries = json.loads(PATH.read_text())["options"]
    fields = {"kind", "is_list", "choices", "default", "owner", "trainers"}
    assert all(set(entry) == fields for entry in entries.values())


def test_a_list_reads_back_what_was_written(read_text):
    options = {
        "b": Option("float", True, ("1", "2"), 0.5, "plugin", ("sdxl",)),
        "a": Option("flag", default=False),
    }
    text = options_text(options, read_pin())
    assert read_text(text) == options
    assert text.index('"a"') < text.index('"b"')


def test_the_hash_does_not_depend_on_the_order():
    assert entries_sha256({"a": {"x": 1, "y": 2}, "b": 3}) == entries_sha256(
        {"b": 3, "a": {"y": 2, "x": 1}}
    )


def test_an_edited_list_is_refused(read_text):
    with pytest.raises(
        EngineError, match=r"do not fit its hash; write it again: python -m dmm_ext"
    ):
        read_text(PATH.read_text().replace('"default": 1600', '"default": 1700'))


def test_a_list_of_another_commit_is_refused(read_text):
    with pytest.raises(EngineError, match=r"lists the options of sd-scripts 0000.*the pin is"):
        read_text(PATH.read_text().replace(read_pin().commit, "0" * 40))


def test_the_launchers_settings_are_known_and_its_own_are_the_engines():
    assert set(LAUNCHER_OPTIONS) <= set(known_options())
    assert known_options()["dataset_repeats"].owner == "launcher"
    assert set(STATED_ELSEWHERE) <= set(read_options())
