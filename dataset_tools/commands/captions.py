"""The commands ``dmm data captions``: what the rules change, and editing captions as a table."""

import itertools
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dmm.cli import add_command
from dmm.terminal import printable

from ..captions.clean import DEFAULT_ANCHOR

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..captions.history import CaptionHistory

app = typer.Typer(
    help="Show what the caption rules change; edit captions.",
    no_args_is_help=True,
    add_completion=False,
)

table_option = partial(typer.Option, rich_help_panel="For a table")
Source = Annotated[Path, typer.Argument(help="CSV table of captions, or a dataset folder.")]
Voice = Annotated[bool, table_option("--voice", help="Keep mentions of voices.")]
Reduce = Annotated[
    bool, table_option(help="Reduce captions to two instruments and three descriptors at most.")
]
Anchor = Annotated[str, table_option(help="Words before every caption, which use up tokens.")]
Column = Annotated[str, table_option(help="Name of the column with the captions.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

STYLES = {"same": "", "removed": "red strike", "added": "green"}


def diff(
    source: Source,
    limit: Annotated[int, typer.Option(min=1, help="Most captions to show.")] = 20,
    voice: Voice = False,
    reduce: Reduce = True,
    anchor: Anchor = DEFAULT_ANCHOR,
    column: Column = "caption",
    as_json: AsJson = False,
) -> None:
    """Show the captions that were changed, rule by rule: removed words red, added words green.

    Without colours, in a pipe, the caption is printed after every rule. The captions of a table are
    changed now; those of a dataset were changed when it was built.

    Example: dmm data captions diff captions.csv --limit 5
    """
    from rich.console import Console

    from ..captions.history import caption_histories

    found = caption_histories(source, anchor=anchor, keep_voice=voice, reduce=reduce, column=column)
    changed = itertools.islice((history for history in found if history.changes), limit)
    if as_json:
        rows = [asdict(history) for history in changed]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for history in changed:
        _print_history(history, console)


def _print_history(history: "CaptionHistory", console: "Console") -> None:
    """Print a caption and its changes, as coloured words or as the text after each rule."""
    from rich.text import Text

    from ..captions.history import word_edits

    in_colour = console.is_terminal and console.color_system is not None
    console.print(Text(printable(history.raw.strip()), "bold"))
    for change in history.changes:
        line = Text.assemble((f"  {change.rule}: ", "dim"))
        if in_colour:
            runs = word_edits(change.before, change.after)
            line.append_text(
                Text(" ").join(Text(printable(words), STYLES[kind]) for kind, words in runs)
            )
        else:
            line.append(printable(change.after))
        console.print(line)
    console.print()


def stats(
    source: Source,
    voice: Voice = False,
    reduce: Reduce = True,
    anchor: Anchor = DEFAULT_ANCHOR,
    column: Column = "caption",
    as_json: AsJson = False,
) -> None:
    """Count words, CLIP tokens, voices and facets of all captions, before and after the rules.

    Example: dmm data captions stats captions.csv
    """
    from rich.console import Console

    from ..captions.history import caption_histories
    from ..captions.statistics import caption_statistics

    found = list(
        caption_histories(source, anchor=anchor, keep_voice=voice, reduce=reduce, column=column)
    )
    facts = {
        "before": caption_statistics([history.raw for history in found], anchor),
        "after": caption_statistics([history.caption for history in found], anchor),
    }
    if as_json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        Console().print(_comparison_table(facts))


def _comparison_table(facts: dict[str, dict[str, Any]]) -> "Table":
    """A row for each statistic, with a column before and one after the rules."""
    from rich.table import Table

    from ..captions.lexicon import FACETS

    table = Table("", *facts, box=None)
    sides = list(facts.values())

    def row(name: str, *cells: object) -> None:
        table.add_row(name, *map(str, cells))

    row("captions", *(side["captions"] for side in sides))
    row("distinct captions", *(side["distinct"] for side in sides))
    for what in ("words", "tokens"):
        for mark in ("p50", "p95", "max"):
            row(f"{what} {mark}", *(side[what][mark] for side in sides))
    row("over 77 tokens", *(side["too_long"] for side in sides))
    row("that mention a voice", *(side["voice"] for side in sides))
    for facet in FACETS:
        row(f"with {facet}", *(f"{side['facets'][facet]:.1%}" for side in sides))
    row("not in Latin script, unread", *(side["unread"] for side in sides))
    row("without a known term", *(f"{side['unknown']:.1%}" for side in sides))
    return table


def export(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    out: Annotated[
        Path | None, typer.Option(help="CSV file to write.", show_default="standard output")
    ] = None,
) -> None:
    """Write the captions of all clips as a CSV table (id, caption, origin), to edit and import.

    Example: dmm data captions export data/mine --out captions.csv
    """
    from dmm.files import write_text

    from ..captions.edits import captions_table
    from ..dataset import read_dataset

    table = captions_table(read_dataset(dataset).rows)
    if out is None:
        print(table, end="")
    else:
        write_text(out, table)
        print(out)


def import_(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    table: Annotated[Path, typer.Argument(help="CSV table with the columns id and caption.")],
) -> None:
    """Use the captions of an edited table in a dataset, also after it is built again.

    Captions that were changed are kept in the dataset's captions.csv.

    Example: dmm data captions import data/mine captions.csv
    """
    from ..building.import_captions import import_captions

    print(f"{dataset}: {import_captions(dataset, table)} captions changed")


for command, name in ((diff, None), (stats, None), (export, None), (import_, "import")):
    add_command(app, command, name)
