"""What a rule says of a run's settings, and the words that rules share.

A rule is a function of the settings and the facts that returns a sentence (what is stated, why it
does not hold, what to do) or None. What it needs and does not know, it keeps quiet about.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..facts import DatasetFacts, Facts
from ..presets import Resolved

ARCHITECTURES = {"sd15": "SD 1.5", "sdxl": "SDXL"}
"""``Facts.architecture`` as people say it."""
Rule = Callable[[Resolved, Facts], str | None]


@dataclass(frozen=True)
class Finding:
    """A setting that does nothing, contradicts another or will not do what is hoped for."""

    rule: str
    severity: str
    """``error``: the run would not be the one that was asked for. ``warning``: it may be meant."""
    message: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.severity}: {self.message} [{self.rule}]"


def apply(rules: Iterable[Rule], severity: str, settings: Resolved, facts: Facts) -> list[Finding]:
    """What these rules find, each under its own name."""
    found = ((rule, rule(settings, facts)) for rule in rules)
    return [
        Finding(rule.__name__.replace("_", "-"), severity, message)
        for rule, message in found
        if message
    ]


def said(settings: Resolved, *keys: str) -> str:
    """Settings as they are in force, and who says so: ``clip_skip = 2 (--set)``."""
    return ", ".join(f"{key} = {shown(settings[key])} ({settings.origin(key)})" for key in keys)


def said_of_those_stated(settings: Resolved, *keys: str) -> str:
    """As ``said``, without those left at their default; empty if all are."""
    return said(settings, *(key for key in keys if settings.states(key)))


def shown(value: Any) -> str:
    """As TOML has it; unset is said as such.

    >>> shown(True), shown(0.5), shown(None)
    ('true', '0.5', 'unset')
    >>> shown(["conv_dim=8"])
    '["conv_dim=8"]'
    """
    if value is None:
        return "unset"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list) else str(value)


def in_force(settings: Resolved, facts: Facts, key: str) -> Any:
    """The value of a dataset option: what ``dataset.toml`` says wins over a preset."""
    stated = facts.dataset.stated if facts.dataset else {}
    return stated.get(key, settings[key])


def shuffles(settings: Resolved, facts: Facts) -> bool:
    """Whether captions are shuffled, as every dataset built here has it unless told otherwise."""
    if settings["dataset_shuffle"] is not None:
        return settings["dataset_shuffle"]
    return bool(in_force(settings, facts, "shuffle_caption")) if facts.dataset else True


def buckets(settings: Resolved, facts: Facts) -> bool:
    """Whether images are sorted by size."""
    chosen = settings["dataset_bucketing"]
    return bool(in_force(settings, facts, "enable_bucket")) if chosen is None else chosen


def regularises(settings: Resolved, data: DatasetFacts) -> bool:
    """Whether regularisation clips take part."""
    return bool(data.n_reg and settings["dataset_regularisation"])
