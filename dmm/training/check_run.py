"""``dmm train --check``: find a training's problems and forecast its cost, before it starts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from ..engine import set_up_engine
from ..errors import DmmError
from .cost import Tariff
from .engine_run import run_trainer
from .facts import gather_facts, read_dataset_facts
from .forecast.card import speed_by_card
from .forecast.duration import calibrate
from .forecast.forecast import Forecast, as_table, forecast
from .presets import resolve
from .rules.base import Finding
from .rules.check import check_settings
from .run_inputs import read_inputs
from .sound_limits import sound_limits

Read = TypeVar("Read")


@dataclass(frozen=True)
class CheckReport:
    """Findings on a run, errors first, its forecast, and the limits of its sound."""

    findings: tuple[Finding, ...]
    forecast: Forecast | None
    """None if settings, dataset or base cannot be read."""
    sound: tuple[str, ...] = ()
    """Lines on the sound that the base's VAE loses, or on how to measure it."""

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
    tariff: Tariff | None = None,
) -> CheckReport:
    """Check a run's settings against its dataset, base and machine, without writing to ``out``.

    ``timed`` trains three steps in a temporary folder to forecast the time, unless the settings
    have errors; else it follows from what ``dmm bench card`` measured here, if it did. ``vram_gb``
    (GiB) is the memory of a GPU that is not in this machine. ``tariff`` turns the time into energy
    and money. Free disk space is that of ``out``, or else of the current folder. Inputs that cannot
    be read are findings too. EngineError if the timed steps fail.
    """
    if faults := find_unreadable_inputs(preset, dataset, base, settings):
        return CheckReport(tuple(faults), None)
    inputs = read_inputs(preset, dataset, base, settings)
    findings = check_settings(inputs.settings, inputs.facts)
    speed = speed_by_card(inputs.settings, inputs.facts)
    if timed and _has_no_errors(findings):
        speed = calibrate(inputs, partial(run_trainer, set_up_engine()))
    found = forecast(
        inputs.settings, inputs.facts, inputs.shapes, out or Path(), vram_gb, speed, tariff
    )
    findings = [*findings, *found.findings]
    ordered = sorted(findings, key=lambda f: f.severity != "error")
    return CheckReport(tuple(ordered), found, tuple(sound_limits(dataset, base)))


def find_unreadable_inputs(
    preset: str, dataset: Path, base: Path, settings: Sequence[str]
) -> list[Finding]:
    """Findings on inputs that cannot be read, then errors of the settings; empty if all can be."""
    faults: list[str] = []

    def attempt(read: Callable[[], Read]) -> Read | None:
        try:
            return read()
        except DmmError as error:
            faults.append(str(error))
            return None

    resolved = attempt(lambda: resolve(preset, settings, faults))
    data = attempt(lambda: read_dataset_facts(dataset))
    facts = attempt(lambda: gather_facts(None, base))
    if not faults:
        attempt(lambda: read_inputs(preset, dataset, base, settings))
    found = [Finding("unreadable", "error", message) for message in dict.fromkeys(faults)]
    if not found or resolved is None or facts is None:
        return found
    findings = check_settings(resolved, replace(facts, dataset=data))
    return [*found, *(finding for finding in findings if finding.severity == "error")]


def _has_no_errors(findings: Iterable[Finding]) -> bool:
    return not any(finding.severity == "error" for finding in findings)


def print_report(report: CheckReport) -> None:
    """Print the findings, one per line, the forecast as a table, and the limits of the sound."""
    for finding in report.findings:
        print(finding)
    if report.forecast:
        Console().print(as_table(report.forecast))
    for line in report.sound:
        print(line)
