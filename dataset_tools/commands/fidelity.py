"""``dmm data fidelity``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def fidelity(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder with a test split.")],
    out: Annotated[Path, typer.Option(help="Folder for fidelity.html and fidelity.json.")],
    base: Annotated[
        Path | None, typer.Option(help="SDXL checkpoint whose VAE to hear, .safetensors.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Test clips to take.")] = 12,
    seed: Annotated[int, typer.Option(help="Decides which.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON.")] = False,
) -> None:
    """Hear what the mel format, and a base model's VAE after it, lose on a dataset's test clips.

    No LoRA trained on the dataset can sound better than this. Prints what to expect and the page.

    Example: dmm data fidelity data/mine --base models/nano/nano.safetensors --out fidelity
    """
    from ..inspection.fidelity import measure_fidelity

    report = measure_fidelity(dataset, base, out, clips, seed)
    if as_json:
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        _print(report)
        print(out / "fidelity.html")


def _print(report: dict[str, Any]) -> None:
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
