"""Numbers and outputs of every command are checked before anything is loaded."""

from types import SimpleNamespace

import pytest
import typer

from dmm.cli import COMMANDS, load_command, run
from dmm.option_bounds import BOUNDS, LARGE, YES

GENERATE = ["generate", "piano", "--model", "none.safetensors", "--out", "clips"]
SONG = ["song", "--model", "none.safetensors", "--prompt", "piano", "--out", "a.flac"]


def commands(command):
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from commands(below)


def parameters(command):
    return (parameter for one in commands(command) for parameter in one.params)


def passes(parameter, value, yes=False):
    try:
        parameter.callback(SimpleNamespace(meta={YES: yes}, command=None), parameter, value)
    except typer.BadParameter:
        return False
    return True


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_of_any_command_takes_numbers_that_are_not_finite_or_too_large(name):
    for parameter in (p for p in parameters(load_command(name)) if p.name != "yes"):
        for value in (float("nan"), float("inf"), -float("inf"), 2**64, -(2**64), 1e300):
            assert not passes(parameter, value), (parameter.name, value)


def test_large_work_needs_yes():
    for parameter in parameters(load_command("song")):
        if parameter.name in LARGE:
            above = LARGE[parameter.name] + 1
            assert not passes(parameter, above) and passes(parameter, above, yes=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_may_work_for_days_has_the_option_yes(name):
    for command in commands(load_command(name)):
        names = {parameter.name for parameter in command.params}
        assert "yes" in names or not names & LARGE.keys()


def test_bounds_name_options_that_exist():
    names = {p.name for name in COMMANDS for p in parameters(load_command(name))}
    assert {*BOUNDS, *LARGE} <= names


@pytest.mark.parametrize(
    "words",
    [
        [*GENERATE, "--seed", "nan"],
        [*GENERATE, "--seed", "9" * 4400],
        [*GENERATE, "--count", "1000000000"],
        [*GENERATE, "--count", "0"],
        [*GENERATE, "--steps", "1e999"],
        [*GENERATE, "--guidance", "inf"],
        [*SONG, "--seconds", "nan"],
        [*SONG, "--seconds", "1e9"],
        [*SONG, "--seconds", "7200"],
        ["data", "build", "--out", "data", "--val", "-1"],
        ["data", "build", "--out", "data", "--hop", "0"],
        ["data", "build", "--out", "data", "--copies", "100000000"],
    ],
)
def test_nonsense_is_wrong_usage_and_writes_nothing(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: Invalid value for") and "--help explains it" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (GENERATE[:4], "file"),
        (GENERATE[:4], "file/below"),
        (GENERATE[:4], "n" * 300),
        (SONG[:-2], "folder"),
        (["fuse", "none.safetensors", "--lora", "none.safetensors"], "folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    command, out, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    assert run([*command, "--out", out]) == 2
