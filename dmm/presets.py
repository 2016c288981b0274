"""Training presets: TOML files that extend one another, checked against the engine's own parser.

sd-scripts pours a configuration file into its arguments unchecked: a misspelt key is silently
ignored and a value's type never tried. Here every key and value is held against the parser
(``dmm_ext.manifest`` prints it) before anything starts.
"""

import difflib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import ROOT, read_pin
from .errors import EngineError, PresetError
from .files import sha256_file, write_text
from .tokenizers import cache_root

PRESETS = ROOT / "presets" / "train"


@dataclass(frozen=True)
class Option:
    """One argument of the engine's parser."""

    kind: str
    """``flag``, ``int``, ``float``, ``str``, or ``number``: whole or not as it is written."""
    is_list: bool = False
    choices: tuple[str, ...] | None = None


def preset_names() -> list[str]:
    """Names of the training presets, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(name: str) -> dict[str, Any]:
    """Settings of a preset by name or path, with those it extends underneath."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        raise PresetError(f"no preset {name!r}; known: {', '.join(preset_names())}")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise PresetError(f"{path}: not valid TOML ({error})") from error
    base = settings.pop("extends", None)
    if base is None:
        return settings
    beside = path.parent / base
    return load_preset(str(beside if beside.is_file() else PRESETS / base)) | settings


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """``key=value`` words as a mapping of text; types follow in ``check``.

    >>> parse_settings(["max_train_steps=20"])
    {'max_train_steps': '20'}
    """
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise PresetError(f"--set takes key=value; got {pair!r}")
        settings[key] = value
    return settings


def check(settings: Mapping[str, Any], options: Mapping[str, Option]) -> dict[str, Any]:
    """Settings with every key known and every value of its option's type; else PresetError."""
    return {key: _value(key, value, _option(key, options)) for key, value in settings.items()}


def _option(key: str, options: Mapping[str, Option]) -> Option:
    if key in options:
        return options[key]
    nearest = difflib.get_close_matches(key, options, n=1, cutoff=0.4)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise PresetError(f"no setting {key!r} in the engine or its plugin{hint}")


def _value(key: str, value: Any, option: Option) -> Any:
    if option.is_list:
        items = value.split() if isinstance(value, str) else value
        return [_one(key, item, option) for item in items]
    return _one(key, value, option)


def _one(key: str, value: Any, option: Option) -> Any:
    words = {"true": True, "false": False}
    try:
        if option.kind == "flag":
            result = value if isinstance(value, bool) else words[str(value).lower()]
        elif isinstance(value, bool):
            raise ValueError
        else:
            result = _READERS[option.kind](value)
    except (ValueError, KeyError) as error:
        kind = "true or false" if option.kind == "flag" else f"a value of type {option.kind}"
        raise PresetError(f"{key} = {value!r}: {kind} is needed") from error
    if option.choices and str(result) not in option.choices:
        raise PresetError(f"{key} = {value!r}: one of {', '.join(option.choices)} is needed")
    return result


def _number(value: Any) -> int | float:
    try:
        return int(str(value))
    except ValueError:
        return float(value)


_READERS = {"int": int, "float": float, "str": str, "number": _number}


def engine_options(engine: Path) -> dict[str, Option]:
    """All options of the engine and our plugin, read from the parser once per version of either."""
    plugin = "-".join(
        sha256_file(ROOT / "dmm_ext" / f"{name}.py")[:12] for name in ("trainer", "manifest")
    )
    path = cache_root() / f"options-{read_pin().commit[:12]}-{plugin}.json"
    if not path.is_file():
        write_text(path, _print_manifest(engine))
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {
        key: Option(o["kind"], o["is_list"], tuple(o["choices"]) if o["choices"] else None)
        for key, o in entries.items()
    }


def _print_manifest(engine: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dmm_ext.manifest"],
        env=engine_environment(engine),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EngineError(f"{engine}: sd-scripts does not import ({reason}); run: dmm doctor")
    return done.stdout.strip().splitlines()[-1]


def engine_environment(engine: Path) -> dict[str, str]:
    """Environment in which sd-scripts' own modules and ours can be imported."""
    paths = [str(engine), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
