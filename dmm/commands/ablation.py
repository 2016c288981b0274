"""The command ``dmm ablate``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer


def ablate(
    presets: Annotated[
        list[str], typer.Argument(help="Presets; the others are compared with the first.")
    ],
    dataset: Annotated[Path, typer.Option(help="DATASET folder with a val split.")],
    base: Annotated[Path, typer.Option(help="Checkpoint that all runs start from.")],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder of all runs; repeat it to continue.")
    ],
    seeds: Annotated[
        int, typer.Option(min=1, help="Runs of each preset, with seeds 0, 1, 2 ...")
    ] = 3,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value to change in all presets; repeatable."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="Score to compare; repeatable.",
            show_default="those the presets measure",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Train presets with the same seeds and compare them: means, intervals, paired tests.

    The same command continues after an interruption. Presets without validation are validated ten
    times a run. The exit code is 1 if a run failed; the others are compared nevertheless.

    Example: dmm ablate nano-cpu nano-cpu+mse --dataset data --base nano.safetensors --out ablation
    """
    from ..errors import EngineError
    from ..training.ablation.ablation import ablate

    found = ablate(presets, dataset, base, out, seeds, settings or (), metrics or ())
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _print_tables(found)
        print(out / "ablation.md")
    failed = [run for run in found["runs"] if run["status"] == "failed"]
    if failed:
        reason = failed[0]["reason"] or "no reason was left"
        raise EngineError(
            f"{len(failed)} of {len(found['runs'])} runs failed, for reasons in "
            f"{out / 'ablation.md'}, the first one: {reason}; run the same command again to retry"
        )


def _print_tables(found: Mapping[str, Any]) -> None:
    """Print a table for each score, then the notes."""
    from rich.console import Console

    console = Console()
    for name in found["metrics"]:
        console.print(_score_table(found, name), "")
    for note in found["notes"]:
        console.print(f"- {note}", markup=False, highlight=False)


def _score_table(found: Mapping[str, Any], name: str) -> Any:
    """Table of one score for the terminal."""
    from rich.markup import escape
    from rich.table import Table

    from ..training.ablation.table import HEAD, score_rows

    title = escape(found["metrics"][name]["title"])
    table = Table(HEAD[0], title=title, title_justify="left", box=None)
    for head in HEAD[1:]:
        table.add_column(head, justify="right")
    for row in score_rows(found, name):
        table.add_row(*map(escape, row))
    return table
