"""All settings of a training run, with the place that states each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .known_settings import known_options
from .launcher import LAUNCHER_OPTIONS
from .values import toml_value


@dataclass(frozen=True)
class PresetLayer:
    """The settings that one file, or ``--set``, states; None restores the default."""

    name: str
    values: Mapping[str, Any]
    shipped: bool = False
    """Whether it is one of our presets; else the user wrote it."""


@dataclass(frozen=True)
class RunSettings:
    """All settings of a run: the stated ones, and the defaults of all others."""

    name: str
    """The presets as the user named them, joined by ``+``."""
    layers: tuple[PresetLayer, ...]
    """Lowest first."""
    stated: Mapping[str, Any]
    leftovers: Mapping[str, str] = field(default_factory=dict)
    """Shipped settings that are left out of ``stated``, and the user's that replace them."""

    def __getitem__(self, key: str) -> Any:
        """The stated value or the default; KeyError for an unknown key."""
        return self.stated[key] if key in self.stated else known_options()[key].default

    def states(self, *keys: str) -> bool:
        """Whether any of these is stated, even with its default value."""
        return any(key in self.stated for key in keys)

    def origin(self, key: str) -> str:
        """The place that states a setting: a file, ``--set``, or ``default``."""
        if key not in self.stated:
            return "default"
        return next(layer.name for layer in reversed(self.layers) if key in layer.values)

    def is_stated_by_user(self, key: str) -> bool:
        """Whether the user stated a setting: by ``--set``, or in a preset of their own."""
        stating = [layer for layer in self.layers if key in layer.values]
        return bool(stating) and not stating[-1].shipped

    def quote(self, *keys: str) -> str:
        """Settings as text, with values and where these are stated: ``clip_skip = 2 (--set)``."""
        return ", ".join(f"{key} = {toml_value(self[key])} ({self.origin(key)})" for key in keys)

    def without(self, keys: Iterable[str]) -> "RunSettings":
        """A copy in which these keys have their defaults."""
        left_out = set(keys)
        stated = {key: value for key, value in self.stated.items() if key not in left_out}
        return replace(self, stated=stated)

    def quote_stated(self, *keys: str) -> str:
        """``quote`` without the settings that are left at their default; empty if all are."""
        return self.quote(*(key for key in keys if self.states(key)))

    def engine_settings(self) -> dict[str, Any]:
        """The stated settings for the engine's configuration, without the launcher's own."""
        return {key: value for key, value in self.stated.items() if key not in LAUNCHER_OPTIONS}

    def launcher_settings(self) -> dict[str, Any]:
        """The value of every launcher setting, for ``change_dataset_config``."""
        return {key: self[key] for key in LAUNCHER_OPTIONS}
