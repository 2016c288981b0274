"""Check a run's settings before it starts: settings without effect, contradictions, traps.

``check_settings`` lists all findings; ``refuse_errors`` raises the first error. Each rule is a pure
function of the settings and the facts, in the file of its subject beside this one; rules of the
shape "X does nothing without Y" are rows of a table in ``dependencies.py``.
"""

from ...errors import PresetError
from ..facts import Facts
from ..presets import RunSettings
from . import dataset as rules_dataset
from . import engine as rules_engine
from . import loss as rules_loss
from . import network as rules_network
from . import optimizer as rules_optimizer
from . import ranges as rules_ranges
from . import schedule as rules_schedule
from .base import Finding, run_rules
from .dependencies import check_dependencies

FILES = (
    rules_engine,
    rules_network,
    rules_optimizer,
    rules_loss,
    rules_dataset,
    rules_schedule,
)


def check_settings(settings: RunSettings, facts: Facts) -> list[Finding]:
    """Findings of every rule, errors first; empty if all is well.

    A number out of range is the only finding, because other rules calculate with it.
    """
    if outside := run_rules(rules_ranges.ERRORS, "error", settings, facts):
        return outside
    errors = [f for file in FILES for f in run_rules(file.ERRORS, "error", settings, facts)]
    warnings = [f for file in FILES for f in run_rules(file.WARNINGS, "warning", settings, facts)]
    findings = [*errors, *warnings, *check_dependencies(settings)]
    return sorted(findings, key=lambda finding: finding.severity != "error")


def refuse_errors(settings: RunSettings, facts: Facts) -> list[Finding]:
    """Return the warnings; PresetError, in one line, if there are errors."""
    findings = check_settings(settings, facts)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        others = f" (and {len(errors) - 1} more: --check lists all)" if len(errors) > 1 else ""
        raise PresetError(f"{errors[0].message}{others}")
    return findings
