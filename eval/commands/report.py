"""``dmm eval report``: all scores, and a page to hear and see them."""

from pathlib import Path
from typing import Annotated

import typer

from ..report import SHOWN_CLIPS
from .options import Clips, Dataset, Ears, with_ears


@with_ears
def report(
    clips: Clips,
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")],
    ears: Ears,
    train: Annotated[
        Path | None, typer.Option(help="What the model was trained on: looks for copies.")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="Clips from before, to compare.")] = None,
    shown: Annotated[
        int, typer.Option(min=1, help="Most clips a set shows in full.")
    ] = SHOWN_CLIPS,
) -> None:
    """Score clips beside real ones and write a page to hear and see them.

    Example: dmm eval report clips/ data/minimidi --train data/minimidi --out report
    """
    from ..report.report import write_report
    from .tables import print_scores

    made = write_report(clips, dataset, out, ears.embedder, baseline, train, shown, ears.ray)
    if ears.as_json:
        return ears.print_json(made)
    print(made["summary"]["headline"])
    print_scores(ears, made)
    for name in (made["baseline"] or {"moved": {}})["moved"]:
        print(f"- {made['summary']['scores'][name]}")
    print(out / "report.html")
