"""Options that several commands take: declared by one function, passed to each as one value."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any

Command = Callable[..., None]


def with_options(
    name: str, resolve: Callable[..., Any], **derived: Callable[[dict[str, Any]], Any]
) -> Callable[[Command], Command]:
    """A decorator that gives a command the options of ``resolve``, and its result as ``name``.

    ``derived`` gives parameters of ``resolve`` that are no options, from the command's arguments.
    """

    def decorate(command: Command) -> Command:
        own = [p for p in signature(command).parameters.values() if p.name != name]
        shared = [p for p in signature(resolve).parameters.values() if p.name not in derived]

        @wraps(command)
        def with_resolved(**given: Any) -> None:
            values = {key: value_from(given) for key, value_from in derived.items()}
            values |= {p.name: given.pop(p.name) for p in shared}
            command(**given, **{name: resolve(**values)})

        every = sorted([*own, *shared], key=lambda p: p.default is not Parameter.empty)
        new_signature = signature(command).replace(parameters=every)
        with_resolved.__signature__ = new_signature  # pyright: ignore[reportAttributeAccessIssue]
        with_resolved.__annotations__ = {p.name: p.annotation for p in every}
        return with_resolved

    return decorate
