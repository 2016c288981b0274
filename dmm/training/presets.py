"""Training presets: TOML files put on top of one another, checked before anything heavy starts.

sd-scripts pours a configuration file into its arguments unchecked: a misspelt key is silently
ignored and a value's type never tried. Here every key and value is held against the committed list
of options (``dmm.training.engine_options``), in a fraction of a second and without importing torch.

A table is a prefix: ``[huber] start = 0.15`` is ``huber_start = 0.15``. ``extends`` names the
preset underneath, ``unset`` lists settings of it that go back to their defaults. Several presets
are joined by ``+``, later ones on top: ``sdxl-24gb+rank-64``; what follows the first states a
difference only.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..engine import ROOT
from ..errors import PresetError
from .engine_options import Option, read_options
from .launcher import LAUNCHER, OWNED
from .values import typed

PRESETS = ROOT / "presets" / "train"
ABLATIONS = PRESETS / "ablations"
WHOLE = "network_module"
"""What every preset that can be trained alone states, by way of ``base.toml``."""


@dataclass(frozen=True)
class Layer:
    """What one file, or ``--set``, states; None is back to the default."""

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Resolved:
    """All settings of a run: those stated, and the defaults of all others."""

    name: str
    """The presets as they were named, joined by ``+``."""
    layers: tuple[Layer, ...]
    """Lowest first."""
    stated: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        """The value in force, stated or default; KeyError for an unknown key."""
        return self.stated[key] if key in self.stated else known_options()[key].default

    def states(self, *keys: str) -> bool:
        """Whether any of these is stated, be it as its default."""
        return any(key in self.stated for key in keys)

    def origin(self, key: str) -> str:
        """The file that states it, ``--set``, or ``default``."""
        if key not in self.stated:
            return "default"
        return next(layer.name for layer in reversed(self.layers) if key in layer.values)

    def engine_settings(self) -> dict[str, Any]:
        """What goes into the engine's configuration: all that is stated but the launcher's own."""
        return {key: value for key, value in self.stated.items() if key not in LAUNCHER}

    def launcher_settings(self) -> dict[str, Any]:
        """Every launcher setting's value, for ``with_dataset_settings``."""
        return {key: self[key] for key in LAUNCHER}


@cache
def known_options() -> dict[str, Option]:
    """Every setting that a preset may hold: the engine's, the plugin's, the launcher's."""
    return read_options() | LAUNCHER


def preset_names(folder: Path = PRESETS) -> list[str]:
    """Names of the presets in a folder, sorted; ``base`` is no preset of its own."""
    return sorted(path.stem for path in folder.glob("*.toml") if path.stem != "base")


def resolve(preset: str, settings: Iterable[str] = ()) -> Resolved:
    """The settings of presets joined by ``+``, with ``key=value`` words on top.

    Every key and value is checked. PresetError says in one line what does not hold and where: an
    unknown name or key with its nearest neighbour, a type, a choice, a difference without a base.
    """
    layers: list[Layer] = []
    is_path = preset.endswith(".toml") and Path(preset).is_file()
    for part in [preset] if is_path else preset.split("+"):
        found = read_layers(part)
        if layers and any(WHOLE in layer.values for layer in found):
            raise PresetError(
                f"{part!r} is a whole preset: it comes first, and differences follow it, "
                f"as in {part}+{preset.split('+')[0]}"
            )
        layers += found
        if not any(WHOLE in layer.values for layer in layers):
            raise PresetError(
                f"{part!r} states a difference only; put it on a preset, as in sdxl-24gb+{part}"
            )
    layers.append(Layer("--set", parse_settings(settings)))
    stated: dict[str, Any] = {}
    for layer in layers:
        stated = {k: v for k, v in (stated | dict(layer.values)).items() if v is not None}
    return Resolved(preset, tuple(layers), stated)


def read_layers(name: str, above: tuple[Path, ...] = ()) -> list[Layer]:
    """A preset by name or path as layers, those it extends first; ``above`` are those on it."""
    path = find_preset(name, above[-1].parent if above else None)
    if path in above:
        chain = " -> ".join(step.name for step in (*above, path))
        raise PresetError(f"{path}: extends itself ({chain})")
    content = _read(path)
    base, unset = content.pop("extends", None), content.pop("unset", [])
    if not isinstance(base, str | None):
        raise PresetError(f"{_place(path)}: extends = {base!r}: the name of one preset is needed")
    values = _flat(content, _place(path)) | _unset(unset, _place(path))
    below = read_layers(base, (*above, path)) if base is not None else []
    return [*below, Layer(_place(path), _checked(values, _place(path)))]


def find_preset(name: str, beside: Path | None = None) -> Path:
    """The file of a preset: a path, beside the file extending it, or one of ours by its name."""
    stem = name.removesuffix(".toml")
    places = [Path(name), *([beside / f"{stem}.toml"] if beside else [])]
    places = places if name.endswith(".toml") else places[1:]
    for path in (*places, PRESETS / f"{stem}.toml", ABLATIONS / f"{stem}.toml"):
        if path.is_file():
            return path.resolve()
    whole, differences = preset_names(), preset_names(ABLATIONS)
    raise PresetError(
        f"no preset {name!r}; known are {', '.join(whole)}, and to put on one with +: "
        f"{', '.join(differences)}{nearest(stem, [*whole, *differences])}"
    )


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """``key=value`` words, checked; ``key=`` is back to the default, ``huber.start`` huber_start.

    >>> parse_settings(["max_train_steps=20", "huber.start=0.2", "min_snr_gamma="])
    {'max_train_steps': 20, 'huber_start': 0.2, 'min_snr_gamma': None}
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise PresetError(f"--set takes key=value; got {pair!r}")
        values[key.strip().replace(".", "_")] = value.strip() or None
    return _checked(values, "--set")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PresetError(f"{path}: not valid TOML ({error})") from error


def _flat(content: Mapping[str, Any], place: str, prefix: str = "") -> dict[str, Any]:
    """Tables as prefixes of their keys; a key that two spellings state is refused."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        inner = _flat(value, place, f"{name}_") if isinstance(value, Mapping) else {name: value}
        if twice := sorted(set(flat) & set(inner)):
            raise PresetError(f"{place}: {twice[0]} is stated twice, once in a table")
        if prefix and (misplaced := _misplaced(key, name)):
            raise PresetError(f"{place}: {misplaced}")
        flat |= inner
    return flat


def _misplaced(key: str, name: str) -> str | None:
    """What to say of a setting that slipped into a table, where TOML puts all that follows it."""
    options = known_options()
    if name in options or key not in options:
        return None
    return (
        f"{key} stands under [{name.removesuffix('_' + key)}], which makes it {name}; "
        "move it above the first table"
    )


def _unset(keys: Any, place: str) -> dict[str, Any]:
    if not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise PresetError(f"{place}: unset = {keys!r}: a list of settings is needed")
    return dict.fromkeys(keys)


def _checked(values: Mapping[str, Any], place: str) -> dict[str, Any]:
    options = known_options()
    for key in values:
        if key not in options:
            hint = nearest(key, options)
            raise PresetError(f"{place}: no setting {key!r} in the engine or its plugin{hint}")
        if key in OWNED:
            raise PresetError(f"{place}: {key} is not for a preset; it is said by {OWNED[key]}")
    try:
        return {k: None if v is None else typed(k, v, options[k]) for k, v in values.items()}
    except PresetError as error:
        raise PresetError(f"{place}: {error}") from error


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint at the word that may have been meant, or nothing."""
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def _place(path: Path) -> str:
    """A file as it is named in messages: ours by its stem, others by their path."""
    return path.stem if path.is_relative_to(PRESETS) else str(path)
