"""Rules on settings that a DATASET overrides by its dataset.toml.

Each rule returns a sentence with the problem and its remedy, or None.
"""

from ..facts import Facts
from ..run_settings import RunSettings
from ..values import toml_value
from .base import Rule

LAUNCHER_SETTINGS = {"shuffle_caption": "dataset_shuffle", "enable_bucket": "dataset_bucketing"}
"""Maps an option of ``dataset.toml`` to the launcher's setting that overrides it."""


def overridden_by_dataset(settings: RunSettings, facts: Facts) -> str | None:
    """Report a user's setting without effect, because dataset.toml states another value."""
    return _overridden_message(settings, facts, of_user=True)


def preset_overridden_by_dataset(settings: RunSettings, facts: Facts) -> str | None:
    """Report a preset's setting without effect, because dataset.toml states another value."""
    return _overridden_message(settings, facts, of_user=False)


def _overridden_message(settings: RunSettings, facts: Facts, of_user: bool) -> str | None:
    for key, value in (facts.dataset.stated if facts.dataset else {}).items():
        differs = key in settings.stated and key != "dataset_repeats" and settings[key] != value
        if differs and settings.is_stated_by_user(key) == of_user:
            remedy = (
                f"use {LAUNCHER_SETTINGS[key]}"
                if key in LAUNCHER_SETTINGS
                else "change it there, or remove it here"
            )
            return (
                f"{settings.quote(key)} does nothing: the dataset's dataset.toml says "
                f"{toml_value(value)}, which wins; {remedy}"
            )
    return None


ERRORS: tuple[Rule, ...] = (overridden_by_dataset,)
WARNINGS: tuple[Rule, ...] = (preset_overridden_by_dataset,)
