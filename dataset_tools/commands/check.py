"""The command ``dmm data check``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from ..finding import Finding

SHOWN = 20
"""Most findings of one kind that are printed; further ones are counted."""


def check(
    dataset: Annotated[Path, typer.Argument(help="Dataset folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON.")] = False,
) -> None:
    """Check a dataset: files, captions, splits, leaks, and settings that sd-scripts misreads.

    Prints one line for each fault. The exit code is 1 if there is any.

    Example: dmm data check data/mine
    """
    from dmm.progress import progress_bar

    from ..inspection.check import check_dataset, count_clips

    with progress_bar("checking", count_clips(dataset)) as advance:
        findings = check_dataset(dataset, advance)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False))
    else:
        print("\n".join(_lines(findings)) or f"{dataset}: no fault found")
    if findings:
        raise typer.Exit(1)


def _lines(findings: Sequence[Finding]) -> list[str]:
    """Findings by kind, at most ``SHOWN`` of each."""
    lines = []
    for kind, group in groupby(sorted(findings, key=lambda f: f.kind), key=lambda f: f.kind):
        alike = list(group)
        lines += [f"{kind}: {finding}" for finding in alike[:SHOWN]]
        if len(alike) > SHOWN:
            lines.append(f"{kind}: and {len(alike) - SHOWN} more (--json lists them all)")
    return lines
