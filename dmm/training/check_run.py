"""``dmm train --check``: find a training's problems and forecast its cost, before it starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from ..engine import set_up_engine
from .engine_run import run_trainer
from .forecast.duration import calibrate
from .forecast.forecast import Forecast, forecast, table
from .rules.base import Finding
from .rules.check import check_settings
from .run_inputs import read_inputs


@dataclass(frozen=True)
class CheckReport:
    """Findings of the rules and of the forecast, errors first, and the forecast itself."""

    findings: tuple[Finding, ...]
    forecast: Forecast

    @property
    def may_start(self) -> bool:
        """Whether no finding is an error."""
        return _has_no_errors(self.findings)


def check_run(
    preset: str,
    dataset: Path,
    base: Path,
    out: Path | None = None,
    settings: Sequence[str] = (),
    timed: bool = False,
    vram_gb: float | None = None,
) -> CheckReport:
    """Check a run's settings against its dataset, base and machine, without writing to ``out``.

    ``timed`` trains three steps in a temporary folder to forecast the time, unless the settings
    have errors. ``vram_gb`` (GiB) is the memory of a GPU that is not in this machine. Free disk
    space is that of ``out``, or else of the current folder. PresetError, InputError or ModelError
    for inputs that cannot be read, EngineError if the timed steps fail.
    """
    inputs = read_inputs(preset, dataset, base, settings)
    findings = check_settings(inputs.settings, inputs.facts)
    speed = None
    if timed and _has_no_errors(findings):
        speed = calibrate(inputs, partial(run_trainer, set_up_engine()))
    found = forecast(inputs.settings, inputs.facts, inputs.shapes, out or Path(), vram_gb, speed)
    findings = [*findings, *found.findings]
    return CheckReport(tuple(sorted(findings, key=lambda f: f.severity != "error")), found)


def _has_no_errors(findings: Iterable[Finding]) -> bool:
    return not any(finding.severity == "error" for finding in findings)


def print_report(report: CheckReport) -> None:
    """Print the findings, one per line, then the forecast as a table."""
    for finding in report.findings:
        print(finding)
    Console().print(table(report.forecast))
