"""Findings about a run's settings, and the text that rules share.

A rule is a function of the settings and the facts. It returns a sentence (the setting, the problem,
the remedy) or None. A rule is silent while a fact that it needs is unknown.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..facts import DatasetFacts, Facts
from ..run_settings import RunSettings

ARCHITECTURES = {"sd15": "SD 1.5", "sdxl": "SDXL"}
"""``Facts.architecture`` as shown to users."""
Rule = Callable[[RunSettings, Facts], str | None]


@dataclass(frozen=True)
class Finding:
    """A setting that does nothing, contradicts another one, or has an unwanted effect."""

    rule: str
    severity: str
    """``error``: the run would differ from its settings. ``warning``: it may be intended."""
    message: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.severity}: {self.message} [{self.rule}]"


def run_rules(
    rules: Iterable[Rule], severity: str, settings: RunSettings, facts: Facts
) -> list[Finding]:
    """Findings of these rules, each under its rule's name."""
    messages = ((rule, rule(settings, facts)) for rule in rules)
    return [
        Finding(rule.__name__.replace("_", "-"), severity, message)
        for rule, message in messages
        if message
    ]


def value_in_force(settings: RunSettings, facts: Facts, key: str) -> Any:
    """The value of a dataset option: ``dataset.toml`` overrides presets."""
    stated = facts.dataset.stated if facts.dataset else {}
    return stated.get(key, settings[key])


def clips_per_step(settings: RunSettings, facts: Facts) -> int:
    """Clips of an optimizer step in one process, over all its micro-batches."""
    batch = value_in_force(settings, facts, "train_batch_size")
    return batch * settings["gradient_accumulation_steps"]


def shuffles_captions(settings: RunSettings, facts: Facts) -> bool:
    """Whether captions are shuffled; yes if nothing states it, as in every dataset built here."""
    if settings["dataset_shuffle"] is not None:
        return settings["dataset_shuffle"]
    if facts.dataset is None:
        return True
    return bool(value_in_force(settings, facts, "shuffle_caption"))


def uses_buckets(settings: RunSettings, facts: Facts) -> bool:
    """Whether images are sorted by size into batches (bucketing)."""
    chosen = settings["dataset_bucketing"]
    return bool(value_in_force(settings, facts, "enable_bucket")) if chosen is None else chosen


def uses_regularisation(settings: RunSettings, data: DatasetFacts) -> bool:
    """Whether regularisation clips are trained on."""
    return bool(data.n_reg and settings["dataset_regularisation"])
