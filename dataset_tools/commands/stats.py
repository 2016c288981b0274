"""The command ``dmm data stats``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def stats(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    html: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Also write a page to this file.", show_default="not written"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show statistics of a dataset: hours, splits, captions, facets, sound, voices, licences.

    Example: dmm data stats data/mine --html stats.html
    """
    from dmm.files import write_text

    from ..inspection.stats import dataset_statistics
    from ..inspection.stats_page import render_page

    facts = dataset_statistics(dataset)
    if html:
        write_text(html, render_page(facts))
    if as_json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        _print_tables(facts)


def _print_tables(facts: dict[str, Any]) -> None:
    """Print tables of splits, measurements and counts."""
    from rich.console import Console

    console = Console()
    for table in (_split_table(facts), _measure_table(facts), _count_table(facts)):
        console.print(table)


def _split_table(facts: dict[str, Any]) -> Any:
    """Clips, hours, tracks and artists of each split."""
    from rich.table import Table

    table = Table("split", box=None)
    for name in ("clips", "hours", "tracks", "artists"):
        table.add_column(name, justify="right")
    for split, n in facts["clips"].items():
        tracks, artists = facts["tracks_of"][split], facts["artists_of"][split]
        table.add_row(split, str(n), f"{facts['hours'][split]:.2f}", str(tracks), str(artists))
    return table


def _measure_table(facts: dict[str, Any]) -> Any:
    """Percentiles of the measurements of clips."""
    from rich.table import Table

    from ..inspection.stats import MEASURES
    from ..inspection.stats_page import format_number

    table = Table("\nclips", box=None)
    for name in ("\n5 %", "\nmedian", "\n95 %", "\nmaximum"):
        table.add_column(name, justify="right")
    for name, found in facts["measures"].items():
        title, unit, _ = MEASURES[name]
        if found:
            values = (format_number(found[key]) for key in ("p5", "p50", "p95", "max"))
            table.add_row(f"{title}, {unit}", *values)
    return table


def _count_table(facts: dict[str, Any]) -> Any:
    """The most common values of facets, licences, sources and refusals."""
    from rich.markup import escape
    from rich.table import Table

    from ..inspection.stats_page import named_origins

    table = Table("\n", "", box=None)
    groups = {name: facts["facets"][name] for name in facts["facets"]}
    groups |= {"caption words": facts["words"]}
    groups |= {"licence": facts["licences"], "source": facts["sources"]}
    if facts["described"]:
        groups |= {"by sound": {"clips described": facts["described"]}}
    groups |= {"caption from": named_origins(facts["caption_origins"])}
    groups |= {"refused": facts["rejected"]}
    for name, values in groups.items():
        most = [f"{escape(value)} {n}" for value, n in list(values.items())[:8]]
        more = [f"and {len(values) - 8} more"] if len(values) > 8 else []
        table.add_row(name, ", ".join(most + more))
    return table
