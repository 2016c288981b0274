"""``dmm eval report``: all scores as JSON, and as a page with plots and players."""

from pathlib import Path
from typing import Annotated

import typer

from ..report import SHOWN_CLIPS
from .options import Clips, Dataset, SharedOptions, print_json, with_shared_options


@with_shared_options
def report(
    clips: Clips,
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")],
    options: SharedOptions,
    train: Annotated[
        Path | None,
        typer.Option(
            help="Training DATASET or folder: find copies of its clips.", show_default="none"
        ),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Earlier clips to compare with.", show_default="none")
    ] = None,
    shown: Annotated[
        int, typer.Option(min=1, help="Most clips of a set that the page shows in full.")
    ] = SHOWN_CLIPS,
) -> None:
    """Score clips, compare them with real ones, and write a page to look at and listen to.

    Example: dmm eval report clips/ data/minimidi --train data/minimidi --out report
    """
    from ..report.report import write_report
    from .tables import print_scores

    made = write_report(
        clips, dataset, out, options.embedder, baseline, train, shown, options.ray_address,
        second=options.second,
    )  # fmt: skip
    if options.as_json:
        return print_json(made)
    print(made["summary"]["headline"])
    print_scores(options, made)
    for name in (made["baseline"] or {"moved": {}})["moved"]:
        print(f"- {made['summary']['scores'][name]}")
    for line in made["summary"]["second"]:
        print(f"- {line}")
    print(out / "report.html")
