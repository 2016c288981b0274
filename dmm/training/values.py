"""Parse a setting's value to its option's type, from TOML or from the text of ``--set``."""

import json
import math
from typing import Any

from ..errors import PresetError
from ..files import parse_toml
from .engine_options import Option

EXPECTED = {
    "flag": "true or false",
    "int": "a whole number",
    "float": "a finite number",
    "number": "a whole number of steps or, below 1, a share of them",
    "str": "text",
}


def parse_value(key: str, value: Any, option: Option) -> Any:
    """Convert a value to its option's type; PresetError for a wrong type or choice.

    Values of ``--set`` are text. A list is written as in TOML, or as ``key=value`` words or numbers
    with spaces between; any other text is one item.

    >>> parse_value("preview_prompts", "piano, slow", Option("str", is_list=True))
    ['piano, slow']
    >>> parse_value("network_args", "conv_dim=8 conv_alpha=8", Option("str", is_list=True))
    ['conv_dim=8', 'conv_alpha=8']
    """
    if option.is_list:
        items = _parse_list(key, value) if isinstance(value, str) else value
        return [
            _parse_value(key, item, option)
            for item in (items if isinstance(items, list) else [items])
        ]
    return _parse_value(key, value, option)


def toml_value(value: Any) -> str:
    """A value as TOML writes it, text without quotes; None is ``unset``.

    >>> toml_value(True), toml_value(0.5), toml_value(None)
    ('true', '0.5', 'unset')
    >>> toml_value(["conv_dim=8"])
    '["conv_dim=8"]'
    """
    if value is None:
        return "unset"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list) else str(value)


def _parse_list(key: str, text: str) -> list[Any]:
    """Items of a TOML list, or of words separated by spaces."""
    if text.startswith("["):
        return parse_toml(f"x = {text}", f"{key} = {text}", error=PresetError)["x"]
    words = text.split()
    return words if all("=" in word or _is_number(word) for word in words) else [text]


def _parse_value(key: str, value: Any, option: Option) -> Any:
    """One value of the option's type; PresetError if it is not valid."""
    try:
        result = PARSERS[option.kind](value)
    except ValueError as error:
        raise PresetError(
            f"{key} = {_in_messages(value)}: {EXPECTED[option.kind]} is needed"
        ) from error
    if option.choices and str(result) not in option.choices:
        raise PresetError(
            f"{key} = {_in_messages(value)}: one of {', '.join(option.choices)} is needed"
        )
    return result


def _in_messages(value: Any) -> str:
    """A value in an error message: ``true`` or ``false``, else Python's repr."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _parse_flag(value: Any) -> bool:
    words = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError
    return words[value.lower()]


def _parse_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    return int(value)


def _parse_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _parse_number(value: Any) -> int | float:
    """Whole steps as int, a share as float: the engine takes a float times all steps."""
    if isinstance(value, str) and value.endswith("%"):
        return _parse_float(value[:-1]) / 100
    number = _parse_float(value)
    if number < 0 or (number >= 1 and not number.is_integer()):
        raise ValueError
    return int(number) if number.is_integer() else number


def _parse_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    return str(value)


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


PARSERS = {
    "flag": _parse_flag,
    "int": _parse_int,
    "float": _parse_float,
    "number": _parse_number,
    "str": _parse_text,
}
