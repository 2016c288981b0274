import json
from functools import partial

import pytest
import typer

from dmm.commands import ablation
from dmm.errors import EngineError
from dmm.files import write_text
from dmm.training.ablation.ablation import ablate

LOSS = {"nano[red]": (0.5, 0.6), "nano+mse": (0.2, 0.5)}


def train(preset, dataset, base, out, settings, resume):
    seed = int(next(word for word in settings if word.startswith("seed=")).partition("=")[2])
    if preset == "broken":
        raise EngineError("no GPU; take a preset for a CPU")
    line = {"step": 9, "validation_loss": LOSS[preset][seed]}
    write_text(out / "metrics.jsonl", json.dumps(line) + "\n")
    write_text(out / "run.json", '{"status": "finished"}')


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command on a fake trainer; returns its exit code or error."""
    (tmp_path / "data" / "val").mkdir(parents=True)
    (tmp_path / "data" / "val" / "a.png").write_bytes(b"")
    write_text(tmp_path / "data" / "dataset.json", "{}")
    write_text(tmp_path / "base.safetensors", "")
    faked = partial(ablate, trainer=train, resolve=lambda preset, words: {})
    monkeypatch.setattr("dmm.training.ablation.ablation.ablate", faked)
    app = typer.Typer(add_completion=False)
    app.command()(ablation.ablate)
    data, base = tmp_path / "data", tmp_path / "base.safetensors"

    def run(*words):
        arguments = [*words, "--dataset", data, "--base", base, "--out", tmp_path / "out"]
        app([*map(str, arguments)], standalone_mode=False)

    return run


def test_the_table_shows_presets_as_they_are_named(run, capsys):
    run("nano[red]", "nano+mse", "--seeds", "2")
    shown = capsys.readouterr().out
    assert "nano[red]" in shown and "validation loss at the end, lower is better" in shown
    assert (
        "0.55 ± 0.64" in shown and "-0.2 ± 1.3" in shown and shown.strip().endswith("ablation.md")
    )


def test_json_is_the_whole_table(run, capsys, tmp_path):
    run("nano+mse", "--seeds", "1", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((tmp_path / "out" / "ablation.json").read_text())


def test_the_score_to_compare_can_be_chosen(run, capsys):
    run("nano+mse", "--seeds", "1", "--metric", "best_validation_loss", "--json")
    assert list(json.loads(capsys.readouterr().out)["metrics"]) == ["best_validation_loss"]


def test_a_failed_run_ends_in_an_error_after_the_table(run, capsys):
    with pytest.raises(EngineError, match=r"^1 of 2 runs failed, .*ablation\.md, .*: no GPU; take"):
        run("nano+mse", "broken", "--seeds", "1")
    shown = capsys.readouterr().out
    assert "0.2" in shown and "no GPU; take a preset for a CPU" in shown.replace("\n", " ")
