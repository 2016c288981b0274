"""The one progress bar: on standard error, so that results on standard output stay clean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Listener = Callable[[str, int, int], object]
"""Hears a bar's name, steps done and steps in all; what it raises ends what is under way."""
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Within the block, and in this thread, progress is told to ``listener`` and not drawn."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[Callable[..., None]]:
    """Show ``name`` and a bar of ``total`` steps; yields ``advance(note="")``."""
    if listener := _listener.get():
        yield _teller(listener, name, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total, note="")

        def advance(steps: int = 1, note: str = "") -> None:
            progress.update(task, advance=steps, note=note)

        yield advance


def _teller(listener: Listener, name: str, total: int) -> Callable[..., None]:
    done = 0

    def advance(steps: int = 1, note: str = "") -> None:
        nonlocal done
        done += steps
        listener(name, done, total)

    listener(name, 0, total)
    return advance
