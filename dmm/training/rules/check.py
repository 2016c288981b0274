"""Check a run's settings before it starts: settings without effect, contradictions, traps.

``check_settings`` returns all findings. ``warnings_or_error`` raises the first error, or returns
the warnings. A rule is a pure function of the settings and the facts, in the module of its subject
beside this one. Rules of the form "X does nothing without Y" are rows of a table in
``dependencies.py``.
"""

from ...errors import PresetError
from ..facts import Facts
from ..run_settings import RunSettings
from . import (
    captions,
    dataset,
    engine,
    images,
    loss,
    machine,
    network,
    optimizer,
    regularisation,
    schedule,
)
from .base import Finding, run_rules
from .dependencies import check_dependencies
from .ranges import RULE, out_of_range

RULE_MODULES = (
    engine,
    network,
    optimizer,
    machine,
    loss,
    dataset,
    images,
    captions,
    regularisation,
    schedule,
)


def check_settings(settings: RunSettings, facts: Facts) -> list[Finding]:
    """Findings of every rule, errors first; empty if all is well.

    Other rules see the default in place of a number out of range, because they calculate with it.
    """
    outside = out_of_range(settings)
    settings = settings.without(outside)
    numbers = [Finding(RULE, "error", message) for message in outside.values()]
    errors = [
        f for module in RULE_MODULES for f in run_rules(module.ERRORS, "error", settings, facts)
    ]
    warnings = [
        f for module in RULE_MODULES for f in run_rules(module.WARNINGS, "warning", settings, facts)
    ]
    findings = [*numbers, *errors, *warnings, *check_dependencies(settings)]
    return sorted(findings, key=lambda finding: finding.severity != "error")


def warnings_or_error(settings: RunSettings, facts: Facts) -> list[Finding]:
    """Return the warnings; PresetError for the first error, with the number of others."""
    findings = check_settings(settings, facts)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        others = f" (and {len(errors) - 1} more: --check lists all)" if len(errors) > 1 else ""
        raise PresetError(f"{errors[0].message}{others}")
    return findings
