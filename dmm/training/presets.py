"""Training presets: layered TOML files, checked before anything heavy starts.

A table is a prefix: ``[huber] start = 0.15`` is ``huber_start = 0.15``. ``extends`` names the
preset below, ``unset`` lists its settings that return to their defaults. Presets are joined by
``+``, later ones on top: in ``sdxl-24gb+rank-64`` the first is complete, and the others state
differences only.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..engine import ROOT
from ..errors import PresetError
from ..files import read_toml
from .known_settings import checked_values, did_you_mean, known_options, parse_settings
from .leftovers import find_leftovers
from .run_settings import PresetLayer, RunSettings

PRESETS = ROOT / "presets" / "train"
ABLATIONS = PRESETS / "ablations"
COMPLETE_KEY = "network_module"
"""Stated (in ``base.toml``) by every preset that can be trained alone, and by no difference."""


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
    return [*below, PresetLayer(name, checked_values(values, name, faults), shipped)]


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


def _name_in_messages(path: Path) -> str:
    """A file's name in messages: its stem for shipped presets, else its path."""
    return path.stem if path.is_relative_to(PRESETS) else str(path)
