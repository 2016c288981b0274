"""The options of sd-scripts and of our plugin, read from a committed file without importing them.

``dmm_ext.list_options`` writes ``presets/engine-options.json`` from the parsers; a test compares
both. The settings that ``dmm train`` itself reads are in ``launcher.py``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..engine import ROOT, Pin, read_pin
from ..errors import EngineError
from ..files import read_json

PATH = ROOT / "presets" / "engine-options.json"
REMEDY = "write it again: python -m dmm_ext.list_options --write (CONTRIBUTING.md)"


@dataclass(frozen=True)
class Option:
    """One option of a parser."""

    kind: str
    """``flag``, ``int``, ``float``, ``str``, or ``number``: int or float, as it is written."""
    is_list: bool = False
    choices: tuple[str, ...] | None = None
    default: Any = None
    owner: str = "engine"
    """Its reader: ``engine``, ``plugin`` (``dmm_ext``) or ``launcher`` (``dmm train``)."""
    trainers: tuple[str, ...] = ("sd15", "sdxl")
    """Architectures whose trainer has it."""


@cache
def read_options() -> dict[str, Option]:
    """The options of the engine and of the plugin, by name.

    EngineError if the file was edited by hand or made for another commit than the pinned one.
    """
    found, pin = _read_manifest(), read_pin()
    if found["commit"] != pin.commit:
        raise EngineError(
            f"{PATH}: lists the options of sd-scripts {found['commit'][:12]}, "
            f"the pin is {pin.commit[:12]}; {REMEDY}"
        )
    if found["sha256"] != entries_sha256(found["options"]):
        raise EngineError(f"{PATH}: its entries do not fit its hash; {REMEDY}")
    return {key: _parse_option(entry) for key, entry in found["options"].items()}


def loss_weights() -> dict[str, str]:
    """Settings that each weight a loss of ``dmm_ext.losses``, with one line on that loss."""
    return _read_manifest()["loss_weights"]


def options_text(
    options: Mapping[str, Option], pin: Pin, loss_weights: Mapping[str, str] | None = None
) -> str:
    """Text of ``engine-options.json``: one option per line, for diffs when sd-scripts changes."""
    entries = {key: vars(options[key]) for key in sorted(options)}
    lines = ",\n".join(f"    {json.dumps(key)}: {json.dumps(e)}" for key, e in entries.items())
    return (
        f'{{\n  "tag": {json.dumps(pin.tag)},\n  "commit": {json.dumps(pin.commit)},\n'
        f'  "sha256": "{entries_sha256(entries)}",\n'
        f'  "loss_weights": {json.dumps(dict(loss_weights or {}))},\n'
        f'  "options": {{\n{lines}\n  }}\n}}\n'
    )


def entries_sha256(entries: Mapping[str, Any]) -> str:
    """Hash of the entries, independent of their order and layout."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def _read_manifest() -> dict[str, Any]:
    return read_json(PATH)


def _parse_option(entry: Mapping[str, Any]) -> Option:
    choices = tuple(entry["choices"]) if entry["choices"] else None
    return Option(**{**entry, "choices": choices, "trainers": tuple(entry["trainers"])})
