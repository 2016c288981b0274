"""Parse JSON and TOML of unknown origin: checked values, or an error that names the field."""

import json
import math
import re
import tomllib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from ..errors import DmmError, InputError

T = TypeVar("T")
MAX_DEPTH = 100
"""Deepest nesting of lists and objects."""
MAX_INT = 2**63
"""Integers must lie below it in magnitude: they fit into 64 bits, as other programs expect."""
_OBJECT = dict[str, Any]
_LONG_NUMBER = re.compile(r"[\s:,\[-]\d(?:\d{18}|[\d.]*[eE]\+?\d{3})")
"""JSON numbers that may be infinite or over 63 bits, after the character before them."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(
    text: str | bytes,
    where: object,
    kind: type[T] | Any = dict[str, Any],
    *,
    finite: bool = True,
    error: type[DmmError] = InputError,
) -> T:
    """The value of a JSON text as ``kind``, by default an object.

    ``where`` names the text in errors. Without ``finite`` numbers may be NaN or infinite. Raises
    ``error`` for text that is no JSON, another kind, nesting deeper than ``MAX_DEPTH``, integers
    over ``MAX_INT``, and characters that are not valid Unicode.
    """
    return _parse(json.loads, text, where, kind, "JSON", finite, error)


def parse_toml(
    text: str,
    where: object,
    kind: type[T] | Any = dict[str, Any],
    *,
    finite: bool = True,
    error: type[DmmError] = InputError,
) -> T:
    """The value of a TOML text as ``kind``; errors as in ``parse_json``."""
    return _parse(tomllib.loads, text, where, kind, "TOML", finite, error)


def validated(
    value: object, where: object, kind: type[T] | Any, error: type[DmmError] = InputError
) -> T:
    """Convert ``value`` to ``kind`` by pydantic; ``error`` names the field, value and bound."""
    if kind == _OBJECT and isinstance(value, dict):
        return value  # pyright: ignore[reportReturnType] - the usual kind needs no pydantic
    from pydantic import ValidationError  # 0.1 s

    try:
        return _type_adapter(kind).validate_python(value)
    except ValidationError as fault:
        raise error(f"{where}: {validation_error_line(fault)}") from fault


def validation_error_line(error: Any) -> str:
    """The first fault of a pydantic ValidationError in one line: field, value, expectation."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = _shown(".".join(str(part) for part in first["loc"]))
    value, reason = _brief(first["input"]), first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"{field} is missing"
    more = f" ({error.error_count() - 1} more faults)" if error.error_count() > 1 else ""
    return f"{field + ' ' if field else ''}is {value}: {reason[:1].lower()}{reason[1:]}{more}"


def decode_text(content: bytes, where: object, error: type[DmmError] = InputError) -> str:
    """UTF-8 bytes as text, without a byte order mark; ``error`` begins with ``where``."""
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as fault:
        raise error(f"{where}: not UTF-8 at byte {fault.start}; save it as UTF-8") from fault


def _parse(
    parser: Callable[[str], Any],
    text: str | bytes,
    where: object,
    kind: Any,
    language: str,
    finite: bool,
    error: type[DmmError],
) -> Any:
    try:
        text = decode_text(text, where, error) if isinstance(text, bytes) else text
        value = parser(text)
        _refuse_unusual(value, text, finite, is_json=parser is json.loads)
    except RecursionError as fault:
        raise error(f"{where}: nested deeper than {MAX_DEPTH} levels; make it again") from fault
    except _UnusualValue as fault:
        raise error(f"{where}: {fault}") from fault
    except ValueError as fault:
        reason = " ".join(str(fault).split())[:200]
        raise error(
            f"{where}: damaged, not valid {language} ({reason}); correct or delete it"
        ) from fault
    return validated(value, where, kind, error)


class _UnusualValue(ValueError):
    """Valid text that no program of ours writes."""


def _refuse_unusual(value: object, text: str, finite: bool, is_json: bool) -> None:
    """Raise _UnusualValue for values out of bounds.

    JSON, often long, is searched only if its text shows that it may hold one.
    """
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise _UnusualValue(
                "characters that are not valid Unicode (a lone surrogate)"
            ) from error
    if (
        not is_json
        or isinstance(value, int | float)
        or "NaN" in text
        or "Infinity" in text
        or text.count("[") + text.count("{") > MAX_DEPTH
        or _LONG_NUMBER.search(text)
    ):
        _refuse_unusual_values(value, "", finite, MAX_DEPTH)


def _refuse_unusual_values(value: object, field: str, finite: bool, levels: int) -> None:
    """Search nested values for _UnusualValue; RecursionError below ``levels`` levels."""
    if levels < 0:
        raise RecursionError
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_unusual_values(
                item, f"{field}.{key}" if field else str(key), finite, levels - 1
            )
    elif isinstance(value, float) and finite and not math.isfinite(value):
        raise _UnusualValue(f"{_shown(field)} is {value}: a finite number is needed")
    elif isinstance(value, int) and abs(value) >= MAX_INT:
        bits = value.bit_length()
        raise _UnusualValue(f"{_shown(field)} is an integer of {bits} bits: at most 63")


@lru_cache(maxsize=64)
def _type_adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _shown(field: str) -> str:
    """A field's name, escaped and in quotes if it holds characters that are not printable."""
    return field if field.isprintable() else _brief(field)


def _brief(value: object) -> str:
    """Python's repr of a value, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
