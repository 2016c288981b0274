"""The settings that a preset or ``--set`` may state, and the check of their values.

sd-scripts copies a configuration file into its arguments unchecked: a misspelt key is silently
ignored, a value of the wrong type accepted. Here every key and value is checked against the list
of options (``engine_options.py``), in a fraction of a second and without importing torch.
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from ..errors import PresetError
from .engine_options import Option, read_options
from .launcher import LAUNCHER_OPTIONS, STATED_ELSEWHERE
from .values import parse_value

SIMILAR = 0.7
"""Least similarity of a word that is suggested: below, suggestions are nonsense."""


@cache
def known_options() -> dict[str, Option]:
    """Every setting that a preset may state: the engine's, the plugin's, the launcher's."""
    return read_options() | LAUNCHER_OPTIONS


def parse_settings(pairs: Iterable[str], faults: list[str] | None = None) -> dict[str, Any]:
    """Parse ``key=value`` words; ``key=`` restores the default, ``huber.start`` is huber_start.

    PresetError and ``faults`` as ``checked_values``.

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
    return checked_values(values, "--set", faults)


def checked_values(
    values: Mapping[str, Any], place: str, faults: list[str] | None
) -> dict[str, Any]:
    """Parse each key's value, from a preset or ``--set``, which ``place`` names.

    PresetError, in one line, for an unknown key (with the most similar one), a wrong type or
    choice, or a key that a command states. With a list ``faults``, faulty settings are appended to
    it and left out instead.
    """
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
