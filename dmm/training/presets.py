"""Training presets: layered TOML files, checked before anything heavy starts.

sd-scripts copies a configuration file into its arguments unchecked: a misspelt key is silently
ignored, a value of the wrong type accepted. Here every key and value is checked against the list
of options (``engine_options.py``), in a fraction of a second and without importing torch.

A table is a prefix: ``[huber] start = 0.15`` is ``huber_start = 0.15``. ``extends`` names the
preset below, ``unset`` lists its settings that return to their defaults. Presets are joined by
``+``, later ones on top: in ``sdxl-24gb+rank-64`` the first is complete, and the others state
differences only.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..engine import ROOT
from ..errors import PresetError
from ..files import read_toml
from .engine_options import Option, read_options
from .launcher import LAUNCHER_OPTIONS, STATED_ELSEWHERE
from .leftovers import find_leftovers
from .values import parse_value, toml_value

PRESETS = ROOT / "presets" / "train"
ABLATIONS = PRESETS / "ablations"
COMPLETE_KEY = "network_module"
"""Stated (in ``base.toml``) by every preset that can be trained alone, and by no difference."""

SIMILAR = 0.7
"""Least similarity of a word that is suggested: below, suggestions are nonsense."""


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


@cache
def known_options() -> dict[str, Option]:
    """Every setting that a preset may state: the engine's, the plugin's, the launcher's."""
    return read_options() | LAUNCHER_OPTIONS


def preset_names(folder: Path = PRESETS) -> list[str]:
    """Names of the presets in a folder, sorted, without ``base``."""
    return sorted(path.stem for path in folder.glob("*.toml") if path.stem != "base")


def resolve(
    preset: str, settings: Iterable[str] = (), faults: list[str] | None = None
) -> RunSettings:
    """Resolve presets joined by ``+``, with ``key=value`` words on top.

    Every key and value is checked. PresetError, in one line, for an unknown name or key (with the
    most similar one), a wrong type or choice, or a difference without a complete preset. With a
    list ``faults``, faulty settings are appended to it and left out instead.
    """
    layers: list[PresetLayer] = []
    is_path = preset.endswith(".toml") and Path(preset).is_file()
    for part in [preset] if is_path else preset.split("+"):
        found = read_layers(part, faults=faults)
        if layers and any(COMPLETE_KEY in layer.values for layer in found):
            raise PresetError(
                f"{part!r} is a complete preset: put it first and differences after it, "
                f"as in {part}+{preset.split('+')[0]}"
            )
        layers += found
        if not any(COMPLETE_KEY in layer.values for layer in layers):
            raise PresetError(
                f"{part!r} states a difference only; put it on a preset, as in sdxl-24gb+{part}"
            )
    layers.append(PresetLayer("--set", parse_settings(settings, faults)))
    leftovers = find_leftovers(
        _merged(layer for layer in layers if layer.shipped),
        _merged(layer for layer in layers if not layer.shipped),
    )
    stated = {
        key: value
        for key, value in _merged(layers).items()
        if value is not None and key not in leftovers
    }
    return RunSettings(preset, tuple(layers), stated, leftovers)


def _merged(layers: Iterable[PresetLayer]) -> dict[str, Any]:
    """The settings of all layers, of which later ones win."""
    return {key: value for layer in layers for key, value in layer.values.items()}


def read_layers(
    name: str, above: tuple[Path, ...] = (), faults: list[str] | None = None
) -> list[PresetLayer]:
    """Read a preset by name or path as layers, the lowest first.

    ``above`` are the files that extend it. PresetError and ``faults`` as ``resolve``.
    """
    path = find_preset(name, above[-1].parent if above else None)
    if path in above:
        chain = " -> ".join(step.name for step in (*above, path))
        raise PresetError(f"{path}: extends itself ({chain})")
    content: dict[str, Any] = read_toml(path, error=PresetError)
    base, unset = content.pop("extends", None), content.pop("unset", [])
    if not isinstance(base, str | None):
        raise PresetError(
            f"{_name_in_messages(path)}: extends = {base!r}: the name of one preset is needed"
        )
    name = _name_in_messages(path)
    values = _flatten_tables(content, name) | _unset_keys(unset, name)
    below = read_layers(base, (*above, path), faults) if base is not None else []
    shipped = path.is_relative_to(PRESETS)
    return [*below, PresetLayer(name, _checked_values(values, name, faults), shipped)]


def find_preset(name: str, beside: Path | None = None) -> Path:
    """Find a preset's file: at a path, beside the file that extends it, or a shipped one.

    PresetError names the known ones if there is none.
    """
    stem = name.removesuffix(".toml")
    places = [Path(name), *([beside / f"{stem}.toml"] if beside else [])]
    places = places if name.endswith(".toml") else places[1:]
    for path in (*places, PRESETS / f"{stem}.toml", ABLATIONS / f"{stem}.toml"):
        if path.is_file():
            return path.resolve()
    complete, differences = preset_names(), preset_names(ABLATIONS)
    raise PresetError(
        f"no preset {name!r}; known are {', '.join(complete)}, and differences after a +: "
        f"{', '.join(differences)}{did_you_mean(stem, [*complete, *differences])}"
    )


def parse_settings(pairs: Iterable[str], faults: list[str] | None = None) -> dict[str, Any]:
    """Parse ``key=value`` words; ``key=`` restores the default, ``huber.start`` is huber_start.

    PresetError and ``faults`` as ``resolve``.

    >>> parse_settings(["max_train_steps=20", "huber.start=0.2", "min_snr_gamma="])
    {'max_train_steps': 20, 'huber_start': 0.2, 'min_snr_gamma': None}
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            values[key.strip().replace(".", "_")] = value.strip() or None
        else:
            _collect_or_raise([f"--set takes key=value; got {pair!r}"], faults)
    return _checked_values(values, "--set", faults)


def _flatten_tables(content: Mapping[str, Any], place: str, prefix: str = "") -> dict[str, Any]:
    """Turn tables into prefixes of their keys; PresetError for a key that is stated twice."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        inner = (
            _flatten_tables(value, place, f"{name}_")
            if isinstance(value, Mapping)
            else {name: value}
        )
        if twice := sorted(set(flat) & set(inner)):
            raise PresetError(f"{place}: {twice[0]} is stated twice, once in a table")
        if prefix and (misplaced := _misplaced_key_message(key, name)):
            raise PresetError(f"{place}: {misplaced}")
        flat |= inner
    return flat


def _misplaced_key_message(key: str, name: str) -> str | None:
    """Error text for a setting that stands after a table's head and so became part of it."""
    options = known_options()
    if name in options or key not in options:
        return None
    return (
        f"{key} stands under [{name.removesuffix('_' + key)}], which makes it {name}; "
        "move it above the first table"
    )


def _unset_keys(keys: Any, place: str) -> dict[str, Any]:
    """Each key with None, which restores its default; PresetError unless ``keys`` is a list."""
    if not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise PresetError(f"{place}: unset = {keys!r}: a list of settings is needed")
    return dict.fromkeys(keys)


def _checked_values(
    values: Mapping[str, Any], place: str, faults: list[str] | None
) -> dict[str, Any]:
    """Values parsed by key; faulty ones are left out and added to ``faults``, or raised."""
    good: dict[str, Any] = {}
    found = []
    for key, value in values.items():
        try:
            good[key] = _parse_setting(key, value)
        except PresetError as error:
            found.append(f"{place}: {error}")
    _collect_or_raise(found, faults)
    return good


def _parse_setting(key: str, value: Any) -> Any:
    """One value; PresetError for an unknown key, a wrong type or choice, or a key of a command."""
    options = known_options()
    if key not in options:
        hint = did_you_mean(key, options)
        raise PresetError(f"no setting {key!r} in the engine or its plugin{hint}")
    if key in STATED_ELSEWHERE:
        raise PresetError(f"{key} cannot stand in a preset; it is given by {STATED_ELSEWHERE[key]}")
    return None if value is None else parse_value(key, value, options[key])


def _collect_or_raise(found: list[str], faults: list[str] | None) -> None:
    """Append faults to the list, or raise the first as PresetError if there is no list."""
    if faults is not None:
        faults += found
    elif found:
        others = f" (and {len(found) - 1} more: --check lists all)" if len(found) > 1 else ""
        raise PresetError(f"{found[0]}{others}")


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Text that suggests the most similar word; empty if none is similar."""
    found = difflib.get_close_matches(word, words, n=1, cutoff=SIMILAR)
    return f"; did you mean {found[0]!r}?" if found else ""


def _name_in_messages(path: Path) -> str:
    """A file's name in messages: its stem for shipped presets, else its path."""
    return path.stem if path.is_relative_to(PRESETS) else str(path)
