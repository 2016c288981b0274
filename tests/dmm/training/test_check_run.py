"""``dmm train --check``: findings and forecast, and whether a run may start."""

import pytest
import typer

from dmm.commands.training import train
from dmm.errors import PresetError
from dmm.training.check_run import check_run
from dmm.training.forecast.duration import Calibration
from dmm.training.presets import resolve

CONTRADICTION = "huber_over=timestep"
"""Whose schedule stays constant."""


@pytest.fixture
def check(dataset, tiny_checkpoint, tmp_path):
    return lambda *words, **more: check_run(
        "nano-cpu", dataset, tiny_checkpoint, tmp_path / "run", words, **more
    )


@pytest.fixture
def calibrated(monkeypatch):
    """Three steps take no time here; returns those that were requested."""
    requested = []
    monkeypatch.setattr("dmm.training.check_run.set_up_engine", lambda: None)
    monkeypatch.setattr(
        "dmm.training.check_run.calibrate",
        lambda inputs, _: requested.append(inputs.settings.name) or Calibration(2.0, 800, "a card"),
    )
    return requested


def test_a_good_run_is_forecast_and_nothing_is_written(check, calibrated, tmp_path):
    report = check("max_train_steps=30", timed=True)
    assert report.may_start and report.forecast.steps == 30 and calibrated == ["nano-cpu"]
    assert report.forecast.duration.steps == 60.0
    assert not (tmp_path / "run").exists()


def test_errors_come_first_and_no_step_is_timed_that_would_not_be_run(check, calibrated):
    report = check(CONTRADICTION, "lr_warmup_steps=200", timed=True)
    severities = [finding.severity for finding in report.findings]
    assert severities[0] == "error" and "warning" in severities
    assert not report.may_start and report.forecast.duration is None and calibrated == []


def test_every_fault_is_reported_at_once(dataset, tmp_path, tiny_checkpoint):
    words = [
        "learnign_rate=1",
        "foo.bar=1",
        "seed=many",
        "seed",
        "train_batch_size=0",
        CONTRADICTION,
    ]
    report = check_run("nano-cpu", tmp_path / "no-data", tiny_checkpoint, None, words)
    shown = "\n".join(map(str, report.findings))
    assert not report.may_start and report.forecast is None
    for part in (
        "did you mean 'learning_rate'", "no setting 'foo_bar'", "seed = 'many'", "got 'seed'",
        "no-data: not a dataset", "train_batch_size = 0", "huber_over = timestep",
    ):  # fmt: skip
        assert part in shown
    report = check_run("nano-cpuu", dataset, tmp_path / "no.safetensors")
    assert [f.message.partition(";")[0] for f in report.findings] == [
        "no preset 'nano-cpuu'", f"{tmp_path / 'no.safetensors'}: no such checkpoint or LoRA"
    ]  # fmt: skip


def test_training_names_the_first_fault_and_the_number_of_others():
    with pytest.raises(PresetError, match=r"'learnign_rate'.*\(and 1 more: --check lists all\)"):
        resolve("nano-cpu", ["learnign_rate=1", "seed=many"])


def test_nonsense_has_no_suggestion():
    with pytest.raises(PresetError, match=r"plugin$"):
        resolve("nano-cpu", ["foo.bar=1"])


@pytest.mark.parametrize(("words", "code"), [([], 0), ([CONTRADICTION], 1)])
def test_the_exit_code_says_whether_a_run_may_start(dataset, tiny_checkpoint, words, code, capsys):
    with pytest.raises(typer.Exit) as end:
        train("nano-cpu", dataset, tiny_checkpoint, check=True, settings=words)
    assert end.value.exit_code == code
    shown = capsys.readouterr().out
    assert "what this training will take" in shown and ("error:" in shown) == bool(code)
