"""Add a function as a command whose help is its docstring and ends in its example."""

import inspect
from collections.abc import Callable

import typer


def add_command(app: typer.Typer, function: Callable[..., object]) -> None:
    """Add a function as a command; its docstring's last paragraph must begin with ``Example:``.

    Lines of a paragraph are joined, because typer would otherwise keep their breaks.
    """
    about, _, example = inspect.cleandoc(function.__doc__ or "").rpartition("\n\nExample: ")
    paragraphs = (" ".join(paragraph.split()) for paragraph in about.split("\n\n"))
    app.command(help="\n\n".join(paragraphs), epilog=f"Example: {example}")(function)
