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
"""Integers lie below it in magnitude: the largest that other programs read without loss."""
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
    """``value`` as ``kind``, or ``error`` that names the field, its value and its bound."""
    if kind == _OBJECT and isinstance(value, dict):
        return value  # pyright: ignore[reportReturnType] - the usual kind needs no pydantic
    from pydantic import ValidationError  # 0.1 s

    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as fault:
        raise error(f"{where}: {fault_line(fault)}") from fault


def fault_line(error: Any) -> str:
    """The first fault of a pydantic ValidationError: field, value, and what is expected."""
    first = error.errors(include_url=False, include_context=False)[0]
    field = _shown(".".join(str(part) for part in first["loc"]))
    value, reason = _brief(first["input"]), first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"{field} is missing"
    more = f" ({error.error_count() - 1} more faults)" if error.error_count() > 1 else ""
    return f"{field + ' ' if field else ''}is {value}: {reason[:1].lower()}{reason[1:]}{more}"


def decode_text(content: bytes, where: object, error: type[DmmError] = InputError) -> str:
    """UTF-8 bytes as text, without a byte order mark; ``error`` names the place ``where``."""
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
        _check(value, text, finite, is_json=parser is json.loads)
    except RecursionError as fault:
        raise error(f"{where}: nested deeper than {MAX_DEPTH} levels; make it again") from fault
    except _Unusual as fault:
        raise error(f"{where}: {fault}") from fault
    except ValueError as fault:
        reason = " ".join(str(fault).split())[:200]
        raise error(
            f"{where}: damaged, not valid {language} ({reason}); correct or delete it"
        ) from fault
    return validated(value, where, kind, error)


class _Unusual(ValueError):
    """Valid text that no program of ours writes."""


def _check(value: object, text: str, finite: bool, is_json: bool) -> None:
    """Raise _Unusual for values out of bounds; JSON, often long, is walked only if suspicious."""
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise _Unusual("characters that are not valid Unicode (a lone surrogate)") from error
    if (
        not is_json
        or isinstance(value, int | float)
        or "NaN" in text
        or "Infinity" in text
        or text.count("[") + text.count("{") > MAX_DEPTH
        or _LONG_NUMBER.search(text)
    ):
        _walk(value, "", finite, MAX_DEPTH)


def _walk(value: object, field: str, finite: bool, levels: int) -> None:
    if levels < 0:
        raise RecursionError
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _walk(item, f"{field}.{key}" if field else str(key), finite, levels - 1)
    elif isinstance(value, float) and finite and not math.isfinite(value):
        raise _Unusual(f"{_shown(field)} is {value}: a finite number is needed")
    elif isinstance(value, int) and abs(value) >= MAX_INT:
        raise _Unusual(f"{_shown(field)} is an integer of {value.bit_length()} bits: at most 63")


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _shown(field: str) -> str:
    """A field's name; in quotes and escaped if it would not fit on one line."""
    return field if field.isprintable() else _brief(field)


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
