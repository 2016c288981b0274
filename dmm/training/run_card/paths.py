"""Cut paths to file names, so that a published run card shows no folders of the machine."""

import re
from pathlib import PureWindowsPath
from typing import Any

from .licences import UNKNOWN

_ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]")


def last_part(path: object) -> str:
    """The last part of a path of any system; of each part where several are joined by ``+``.

    >>> last_part("/home/me/base.safetensors"), last_part("C:/mine/a.toml+min-snr")
    ('base.safetensors', 'a.toml+min-snr')
    >>> last_part(None)
    'unknown'
    """
    parts = str(path or UNKNOWN).split("+")
    return "+".join(PureWindowsPath(part).name for part in parts)


def cut_absolute_paths(value: Any) -> Any:
    """Cut a setting's absolute paths to their last part, also in lists and after ``name=``.

    >>> cut_absolute_paths(["/home/me/vae.pt", "file=~/me/x.txt", "piano/organ", 3])
    ['vae.pt', 'file=x.txt', 'piano/organ', 3]
    """
    if isinstance(value, dict):
        return {key: cut_absolute_paths(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [cut_absolute_paths(entry) for entry in value]
    if not isinstance(value, str):
        return value
    if _ABSOLUTE.match(value):
        return PureWindowsPath(value).name
    name, equals, argument = value.partition("=")
    return f"{name}={cut_absolute_paths(argument)}" if equals else value
