"""Progress bars on standard error, or progress reports to a callback instead."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ProgressCallback = Callable[[str, int, int], object]
"""Called with a bar's name, finished steps and all steps; an exception in it ends the task."""
_callback: ContextVar[ProgressCallback | None] = ContextVar("callback", default=None)


@contextmanager
def progress_to(callback: ProgressCallback) -> Iterator[None]:
    """Within the block, in this thread, report progress to ``callback`` instead of showing bars."""
    token = _callback.set(callback)
    try:
        yield
    finally:
        _callback.reset(token)


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[Callable[..., None]]:
    """Show a bar of ``total`` steps, or report to the callback that ``progress_to`` set.

    Yields ``advance(steps=1, note="")``, which adds finished steps and shows the note beside the
    bar; a callback receives no notes.
    """
    if callback := _callback.get():
        yield _advance_for(callback, name, total)
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


def _advance_for(callback: ProgressCallback, name: str, total: int) -> Callable[..., None]:
    """Report 0 steps; return ``advance``, which reports the number of steps finished so far."""
    done = 0

    def advance(steps: int = 1, note: str = "") -> None:
        nonlocal done
        done += steps
        callback(name, done, total)

    callback(name, 0, total)
    return advance
