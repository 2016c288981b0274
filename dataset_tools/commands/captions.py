"""``dmm data captions``: see what the caption rules do, word by word and in numbers."""

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..captions.clean import DEFAULT_ANCHOR
from ..captions.history import History, histories, word_diff
from ..captions.lexicon import FACETS

app = typer.Typer(help="See what cleaning does to captions.", no_args_is_help=True)

Source = Annotated[Path, typer.Argument(help="CSV table of captions, or DATASET folder.")]
Voice = Annotated[bool, typer.Option("--voice", help="Table: keep what is said of voices.")]
Reduce = Annotated[bool, typer.Option(help="Table: leave at most five terms of a caption.")]
Anchor = Annotated[str, typer.Option(help="Table: words before every caption.")]
Column = Annotated[str, typer.Option(help="Table: the column with the captions.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]

STYLES = {"same": "", "removed": "red strike", "added": "green"}


@app.command()
def diff(
    source: Source,
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 20,
    voice: Voice = False,
    reduce: Reduce = True,
    anchor: Anchor = DEFAULT_ANCHOR,
    column: Column = "caption",
    as_json: AsJson = False,
) -> None:
    """Show captions that were changed, rule by rule: removed red and struck, added green.

    Without colours (piped) every step is a line of its own.

    Example: dmm data captions diff captions.csv --limit 5
    """
    found = histories(source, anchor=anchor, keep_voice=voice, reduce=reduce, column=column)
    changed = itertools.islice((history for history in found if history.changes), limit)
    if as_json:
        rows = [asdict(history) for history in changed]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for history in changed:
        _print_history(history, console)


def _print_history(history: History, console: Console) -> None:
    in_colour = console.is_terminal and console.color_system is not None
    console.print(Text(history.raw.strip(), "bold"))
    for change in history.changes:
        line = Text.assemble((f"  {change.rule}: ", "dim"))
        if in_colour:
            runs = word_diff(change.before, change.after)
            line.append_text(Text(" ").join(Text(words, STYLES[kind]) for kind, words in runs))
        else:
            line.append(change.after)
        console.print(line)
    console.print()


@app.command()
def stats(
    source: Source,
    voice: Voice = False,
    reduce: Reduce = True,
    anchor: Anchor = DEFAULT_ANCHOR,
    column: Column = "caption",
    as_json: AsJson = False,
) -> None:
    """Count words, CLIP tokens, voices and facets of all captions, before and after.

    Example: dmm data captions stats captions.csv
    """
    from ..captions.statistics import caption_statistics

    found = list(histories(source, anchor=anchor, keep_voice=voice, reduce=reduce, column=column))
    facts = {
        "before": caption_statistics([history.raw for history in found], anchor),
        "after": caption_statistics([history.caption for history in found], anchor),
    }
    if as_json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        Console().print(_table(facts))


def _table(facts: dict[str, dict[str, Any]]) -> Table:
    table = Table("", *facts, box=None)
    sides = list(facts.values())

    def row(name: str, *cells: object) -> None:
        table.add_row(name, *map(str, cells))

    row("captions", *(side["captions"] for side in sides))
    row("of them different", *(side["distinct"] for side in sides))
    for what in ("words", "tokens"):
        for mark in ("p50", "p95", "max"):
            row(f"{what} {mark}", *(side[what][mark] for side in sides))
    row("over 77 tokens", *(side["too_long"] for side in sides))
    row("that name a voice", *(side["voice"] for side in sides))
    for facet in FACETS:
        row(f"with {facet}", *(f"{side['facets'][facet]:.1%}" for side in sides))
    row("without a known sound", *(f"{side['unknown']:.1%}" for side in sides))
    return table
