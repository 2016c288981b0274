"""All that is held against a run's settings before it starts: no-ops, contradictions, traps.

``find`` lists what is wrong, ``refuse`` stops at errors. Each rule is a pure function of the
settings and of ``facts``, in the file of its kind beside this one.
"""

from ...errors import PresetError
from ..facts import Facts
from ..presets import Resolved
from . import dataset as rules_dataset
from . import engine as rules_engine
from . import loss as rules_loss
from . import network as rules_network
from . import optimizer as rules_optimizer
from . import ranges as rules_ranges
from . import schedule as rules_schedule
from .base import Finding, apply

FILES = (
    rules_engine,
    rules_network,
    rules_optimizer,
    rules_loss,
    rules_dataset,
    rules_schedule,
)


def find(settings: Resolved, facts: Facts) -> list[Finding]:
    """What every rule finds, errors first; empty if all is well.

    Where a number is out of range nothing else is tried: other rules reckon with it.
    """
    if outside := apply(rules_ranges.ERRORS, "error", settings, facts):
        return outside
    errors = [f for file in FILES for f in apply(file.ERRORS, "error", settings, facts)]
    return errors + [f for file in FILES for f in apply(file.WARNINGS, "warning", settings, facts)]


def refuse(settings: Resolved, facts: Facts) -> list[Finding]:
    """The warnings; PresetError, in one line, if there are errors."""
    found = find(settings, facts)
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        others = f" (and {len(errors) - 1} more: --check lists all)" if len(errors) > 1 else ""
        raise PresetError(f"{errors[0].message}{others}")
    return found
