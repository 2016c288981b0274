"""Cut paths to file names, so that a published run card says nothing about the machine."""

import re
from pathlib import PureWindowsPath
from typing import Any

from .licences import UNKNOWN

_ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]")


def file_names(path: object) -> str:
    """The last part of a path of any system; of each part where several are joined by ``+``.

    >>> file_names("/home/me/base.safetensors"), file_names("C:/mine/a.toml+min-snr")
    ('base.safetensors', 'a.toml+min-snr')
    >>> file_names(None)
    'unknown'
    """
    parts = str(path or UNKNOWN).split("+")
    return "+".join(PureWindowsPath(part).name for part in parts)


def without_folders(value: Any) -> Any:
    """Cut a setting's absolute paths to their last part, also in lists and after ``name=``.

    >>> without_folders(["/home/me/vae.pt", "file=~/me/x.txt", "piano/organ", 3])
    ['vae.pt', 'file=x.txt', 'piano/organ', 3]
    """
    if isinstance(value, dict):
        return {key: without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_folders(entry) for entry in value]
    if not isinstance(value, str):
        return value
    if _ABSOLUTE.match(value):
        return PureWindowsPath(value).name
    name, equals, argument = value.partition("=")
    return f"{name}={without_folders(argument)}" if equals else value
