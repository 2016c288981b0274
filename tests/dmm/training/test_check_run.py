"""``dmm train --check``: findings and forecast, and whether a run may start."""

import pytest
import typer

from dmm.commands.training import train
from dmm.training.check_run import check_run
from dmm.training.forecast.duration import Calibration

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


@pytest.mark.parametrize(("words", "code"), [([], 0), ([CONTRADICTION], 1)])
def test_the_exit_code_says_whether_a_run_may_start(dataset, tiny_checkpoint, words, code, capsys):
    with pytest.raises(typer.Exit) as end:
        train("nano-cpu", dataset, tiny_checkpoint, check=True, settings=words)
    assert end.value.exit_code == code
    shown = capsys.readouterr().out
    assert "what this training will take" in shown and ("error:" in shown) == bool(code)
