"""The command ``dmm data fidelity``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def fidelity(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder with a test split.")],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for fidelity.html and fidelity.json.")
    ],
    base: Annotated[
        Path | None,
        typer.Option(
            help="SD 1.5 or SDXL checkpoint, .safetensors, whose VAE to include.",
            show_default="none",
        ),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Number of test clips.")] = 12,
    seed: Annotated[int, typer.Option(help="Seed of the choice of clips.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print fidelity.json.")] = False,
) -> None:
    """Measure what mel images, and a base model's VAE, lose of a dataset's test clips.

    No LoRA trained on the dataset can sound better than this. Prints the losses, what they mean for
    the sound, and the path of a page to listen to.

    Example: dmm data fidelity data/mine --base models/nano/nano.safetensors --out fidelity
    """
    from ..inspection.fidelity import write_fidelity_report

    report = write_fidelity_report(dataset, base, out, clips, seed)
    if as_json:
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        _print_losses(report)
        print(out / "fidelity.html")


def _print_losses(report: dict[str, Any]) -> None:
    """Print the mean and deviation of every loss as a table."""
    from rich.console import Console
    from rich.table import Table

    from ..inspection.fidelity_page import STAGES, TITLES

    table = Table(f"{report['n']} clips", *(STAGES[name] for name in report["stages"]), box=None)
    for name, (title, unit, _) in TITLES.items():
        found = [stage.get(name) for stage in report["stages"].values()]
        cells = [f"{f['mean']:.2f} ± {f['std']:.2f}" if f else "" for f in found]
        if any(cells):
            table.add_row(f"{title}, {unit}".rstrip(", "), *cells)
    Console().print(table)
    print(*report["expect"], sep="\n")
