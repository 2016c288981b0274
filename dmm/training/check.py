"""``dmm train --check``: what is wrong with a run, and what it will take, before it is begun."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from ..engine import set_up_engine
from .engine_run import run_trainer
from .forecast.duration import calibrate
from .forecast.forecast import Forecast, forecast, table
from .plan import make_plan
from .rules.base import Finding
from .rules.check import find


@dataclass(frozen=True)
class Report:
    """Findings of the rules and of the forecast, errors first, and the forecast itself."""

    findings: tuple[Finding, ...]
    forecast: Forecast

    @property
    def is_good(self) -> bool:
        """Whether the run may begin."""
        return _may_begin(self.findings)


def check_run(
    preset: str,
    dataset: Path,
    base: Path,
    out: Path | None = None,
    settings: Sequence[str] = (),
    timed: bool = False,
    vram_gb: float | None = None,
) -> Report:
    """Hold a run's settings against its dataset, base and machine; nothing is trained.

    ``timed`` trains three steps in a temporary folder to forecast the time, unless the settings
    hold errors: those are then told alone. ``vram_gb`` is a card that is not in this machine. Disk
    space is looked up at ``out``, or else here. PresetError, InputError or ModelError, in one line,
    for what cannot be read at all.
    """
    plan = make_plan(preset, dataset, base, settings)
    findings = find(plan.settings, plan.facts)
    speed = None
    if timed and _may_begin(findings):
        speed = calibrate(plan, partial(run_trainer, set_up_engine()))
    found = forecast(plan.settings, plan.facts, plan.shapes, out or Path(), vram_gb, speed)
    findings = [*findings, *found.findings]
    return Report(tuple(sorted(findings, key=lambda f: f.severity != "error")), found)


def _may_begin(findings: Iterable[Finding]) -> bool:
    return not any(finding.severity == "error" for finding in findings)


def print_report(report: Report) -> None:
    """Findings, one a line, then the forecast as a table."""
    for finding in report.findings:
        print(finding)
    Console().print(table(report.forecast))
