"""Settings of this machine that ``dmm doctor --set`` stores: what its energy or an hour costs.

They are in ``machine.toml`` of ``$DMM_CONFIG``, else of ``~/.config/dmm``.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import toml

from .errors import PresetError
from .files import read_toml, write_text

KEYS = {
    "price": "of energy or of an hour of the machine: 0.30/kWh, 0.30 EUR/kWh or 0.25/h",
    "watts": "that the whole machine draws while it trains",
}
"""Settings that can be stored, each with its meaning."""


def settings_file() -> Path:
    """Path of the file with the settings; it need not exist."""
    folder = os.environ.get("DMM_CONFIG") or Path.home() / ".config" / "dmm"
    return Path(folder) / "machine.toml"


def read_machine_settings() -> dict[str, str]:
    """The stored settings as text, by key; InputError for a damaged file."""
    path = settings_file()
    found = read_toml(path) if path.is_file() else {}
    return {key: str(value) for key, value in found.items()}


def changed_machine_settings(pairs: Iterable[str]) -> dict[str, str]:
    """The stored settings changed by ``key=value`` words; nothing is stored yet.

    ``key=`` removes a setting. PresetError for an unknown key.
    """
    changed = read_machine_settings()
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in KEYS:
            known = "; ".join(f"{name}, {meaning}" for name, meaning in KEYS.items())
            raise PresetError(f"--set {pair}: write key=value; keys are {known}")
        changed.pop(key, None)
        if value.strip():
            changed[key] = value.strip()
    return changed


def store_machine_settings(settings: Mapping[str, str]) -> None:
    """Replace all stored settings by these."""
    write_text(settings_file(), toml.dumps(dict(settings)))
