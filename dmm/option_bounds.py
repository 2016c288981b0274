"""Bounds of the numbers and outputs on every command line, checked before anything is loaded.

One table for all commands, by the option's name: so NaN, infinity and integers that no program
holds are refused everywhere, also by a command that is added later. Beyond the sizes in ``LARGE`` a
command would work or write for days: it asks for ``--yes``.
"""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from .files.os_errors import os_error_line

MOST = 2.0**53
"""Largest magnitude of a number: up to it JSON's readers hold integers exactly."""
SHARE = (0.0, 1.0)
BOUNDS = {
    "batch": (1, 4096),
    "batch_size": (1, 4096),
    "copies": (1, 1000),
    "hop": (0.01, 86_400),
    "init_start": (0, 86_400),
    "jobs": (1, 1024),
    "loudness": (-70, 0),
    "max_clipped": SHARE,
    "max_silence": SHARE,
    "min_bandwidth": (0, 1e6),
    "mixed_players": SHARE,
    "overlap": (0, 3600),
    "processes": (1, 1024),
    "seconds": (0.1, 1e7),
    "singers": SHARE,
    "steps": (1, 1e8),
    "strength": SHARE,
    "test": SHARE,
    "val": SHARE,
}
"""Option to its least and largest value, where the option itself states no narrower ones."""
LARGE = {
    "bars": 10_000,
    "count": 100_000,
    "copies": 20,
    "draw": 100_000,
    "reg_minimidi": 100_000,
    "seconds": 3600,
}
"""Option to the largest value that needs no ``--yes``."""
OUTPUTS = ("out", "html", "build")
"""Options that name what is written."""
YES = "dmm.yes"
"""Key of ``--yes`` in the ``meta`` of a command's context."""


def _remember_yes(context: Any, value: bool) -> bool:
    context.meta[YES] = value
    return value


YesOption = Annotated[
    bool,
    typer.Option(
        "--yes",
        is_eager=True,
        expose_value=False,
        callback=_remember_yes,
        help="Work on more than is usual, such as hours of sound or 100000 clips.",
        rich_help_panel="Machine",
    ),
]
"""``--yes``, of every command with an option in ``LARGE``; only ``add_option_checks`` reads it."""


def add_option_checks(command: Any) -> Any:
    """Add the checks to all options of a command and its subcommands, in place; returns it."""
    for one in _all_commands(command):
        for parameter in one.params:
            parameter.callback = _with_checks(parameter.callback)
    return command


def _all_commands(command: Any) -> Iterator[Any]:
    """Yield a command and all its subcommands."""
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from _all_commands(one)


def _with_checks(callback: Callable[..., Any] | None) -> Callable[..., Any]:
    """A callback that makes our checks, then calls the option's own callback."""

    def check(context: Any, parameter: Any, value: Any) -> Any:
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, int | float) and not isinstance(one, bool):
                _check_number(context, parameter, one)
            elif isinstance(one, str | Path) and parameter.name in OUTPUTS:
                _check_output(context, parameter, Path(one))
        return callback(context, parameter, value) if callback else value

    return check


def _check_number(context: Any, parameter: Any, value: int | float) -> None:
    """Refuse a number out of bounds, or one above ``LARGE`` without ``--yes``."""
    name = parameter.name or ""
    low, high = BOUNDS.get(name, (-MOST, MOST))
    if not (math.isfinite(value) and low <= value <= high):
        reason = f"{value} is not in the range {low:g} to {high:g}."
        raise typer.BadParameter(reason, context, parameter)
    if value > LARGE.get(name, math.inf) and not context.meta.get(YES):
        reason = f"{value} is more than {LARGE[name]}: add --yes if you mean it."
        raise typer.BadParameter(reason, context, parameter)


def _check_output(context: Any, parameter: Any, path: Path) -> None:
    """Refuse a place that cannot be written, before minutes of work."""
    try:
        place = next(p for p in (path, *path.absolute().parents) if os.path.lexists(p))
        path.exists()  # OSError for a name that is too long
        if place != path and not place.is_dir():
            raise NotADirectoryError(20, os.strerror(20), str(place))
        if not os.access(place, os.W_OK):
            raise PermissionError(13, os.strerror(13), str(place))
    except OSError as error:
        raise typer.BadParameter(os_error_line(error, path), context, parameter) from error
    except ValueError as error:  # a zero byte
        raise typer.BadParameter(f"{str(path)!r} is no path.", context, parameter) from error
