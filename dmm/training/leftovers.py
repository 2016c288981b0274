"""Settings of a shipped preset that the user's own settings make useless.

They are left out of the run with a warning. The same settings stated by the user are an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Leftover:
    """A setting that has no use once the user states another one."""

    key: str
    replaced_by: str
    values: tuple[Any, ...] = ()
    """Values of ``replaced_by`` that make it useless; empty: any but unset and false."""


LEFTOVERS = (
    Leftover("max_train_steps", "max_train_epochs"),
    Leftover("lr_warmup_steps", "lr_scheduler", ("constant",)),
    Leftover("sdpa", "xformers"),
    Leftover("sdpa", "mem_eff_attn"),
)


def find_leftovers(presets: Mapping[str, Any], users: Mapping[str, Any]) -> dict[str, str]:
    """Key of every leftover, and the user's setting that replaces it.

    ``presets`` are the settings of shipped presets, ``users`` those of the user.
    """
    return {
        row.key: row.replaced_by
        for row in LEFTOVERS
        if presets.get(row.key) and row.key not in users and _replaces(users, row)
    }


def _replaces(users: Mapping[str, Any], row: Leftover) -> bool:
    value = users.get(row.replaced_by)
    return value in row.values if row.values else bool(value)
