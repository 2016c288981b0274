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

    Prints a line for each fault, at most 20 of a kind. A dataset without faults may get warnings:
    settings or clips that will train or score badly. The exit code is 1 if there is any fault.

    Example: dmm data check data/mine
    """
    from dmm.progress import progress_bar

    from ..inspection.check import check_dataset, count_clips, dataset_warnings

    with progress_bar("checking", count_clips(dataset)) as advance:
        findings = check_dataset(dataset, advance)
    warnings = [] if findings else dataset_warnings(dataset)
    if as_json:
        both = [*findings, *(Finding("warning", dataset.name, line, "") for line in warnings)]
        print(json.dumps([asdict(one) for one in both], indent=1, ensure_ascii=False))
    else:
        print("\n".join(_finding_lines(findings)) or f"{dataset}: no fault found")
        for line in warnings:
            print(f"warning: {line}")
    if findings:
        raise typer.Exit(1)


def _finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Lines to print: findings by kind, at most ``SHOWN`` of each, and the number of others."""
    lines = []
    for kind, group in groupby(sorted(findings, key=lambda f: f.kind), key=lambda f: f.kind):
        alike = list(group)
        lines += [f"{kind}: {finding}" for finding in alike[:SHOWN]]
        if len(alike) > SHOWN:
            lines.append(f"{kind}: and {len(alike) - SHOWN} more (--json lists them all)")
    return lines
