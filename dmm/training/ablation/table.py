"""Results of an ablation: means, intervals and paired tests of every score."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...files import write_text
from ..run_card.markdown import escape, table
from ..runs import ENDED, Run, last_value, read_run, series
from .notes import WAITING, notes, unmeasured_notes
from .queue import QueuedRun, Sources
from .statistics import estimate, paired_difference, with_holm

METRICS = {
    "validation_loss": "validation loss at the end, lower is better",
    "best_validation_loss": "lowest validation loss",
    "preview/similarity": "previews: similarity to the prompt, higher is better",
    "preview/fad": "previews: FAD, lower is better",
    "preview/diversity": "previews: diversity, higher is more varied",
    "preview/prompt_diversity": "previews: diversity within a prompt",
    "seconds_per_step": "seconds per step, lower is faster",
}
"""Default scores with titles; any number in metrics.jsonl or run.json can be compared."""
HEAD = ("preset", "runs", "mean ± 95 %", "minus the baseline ± 95 %", "p", "p (Holm)")


def write_table(
    out: Path,
    queue: Sequence[QueuedRun],
    sources: Sources,
    failures: Mapping[Path, str],
    metrics: Sequence[str] = (),
) -> dict[str, Any]:
    """Write ``ablation.json`` and ``ablation.md`` from the RUN folders; returns the former.

    ``failures`` are the reasons of runs that failed before they could write their own.
    """
    wanted = tuple(metrics or METRICS)
    runs = [_run_result(queued, failures.get(queued.folder), wanted, out) for queued in queue]
    presets = list(dict.fromkeys(run["preset"] for run in runs))
    measured = [name for name in wanted if any(run["values"].get(name) is not None for run in runs)]
    found = {
        "baseline": presets[0],
        "presets": presets,
        "seeds": sorted({run["seed"] for run in runs}),
        "dataset_sha256": sources.dataset_sha256,
        "base_sha256": sources.base_sha256,
        "metrics": {name: _compare_presets(name, presets, runs) for name in measured},
        "runs": runs,
        "notes": [*notes(runs, measured), *unmeasured_notes(set(metrics) - set(measured), runs)],
    }
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(out / "ablation.json", text + "\n")
    write_text(out / "ablation.md", markdown_page(found))
    return found


def score_rows(summary: Mapping[str, Any], name: str) -> list[tuple[str, ...]]:
    """Table of one score: a row per preset with the cells of ``HEAD``, the baseline first."""
    n_seeds = len(summary["seeds"])
    return [
        (preset, *_row_cells(entry, n_seeds))
        for preset, entry in summary["metrics"][name]["presets"].items()
    ]


def markdown_page(summary: Mapping[str, Any]) -> str:
    """All scores and notes as Markdown."""
    parts = [f"# Ablation\n\nThe baseline is {escape(summary['baseline'])}."]
    for name, metric in summary["metrics"].items():
        cells = [[escape(cell) for cell in row] for row in score_rows(summary, name)]
        parts.append(f"## {escape(metric['title'])}\n\n{table(HEAD, cells, right=range(1, 6))}")
    if summary["notes"]:
        parts.append("\n".join(f"- {escape(note)}" for note in summary["notes"]))
    return "\n\n".join(parts) + "\n"


def mean_with_interval(mean: float | None, low: float | None) -> str:
    """A mean and half its interval as text, both to the interval's second digit.

    >>> mean_with_interval(0.123456, 0.1211), mean_with_interval(0.123456, None)
    ('0.1235 ± 0.0024', '0.1235')
    >>> mean_with_interval(None, None)
    '-'
    """
    if mean is None:
        return "-"
    half = 0.0 if low is None else mean - low
    if half <= 0:
        return f"{mean:.4g}"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return f"{mean:.{decimals}f} ± {half:.{decimals}f}"


def _row_cells(entry: Mapping[str, Any], n_seeds: int) -> tuple[str, ...]:
    runs = str(n_seeds) if entry["n"] == n_seeds else f"{entry['n']} of {n_seeds}"
    shown = (runs, mean_with_interval(entry["mean"], entry["low"]))
    difference = entry["difference"]
    if difference is None:
        return (*shown, "baseline", "", "")
    chances = (difference["p"], difference["p_holm"])
    return (
        *shown,
        mean_with_interval(difference["mean"], difference["low"]),
        *("-" if p is None else "< 0.0001" if p < 1e-4 else f"{p:.2g}" for p in chances),
    )


def _run_result(
    queued: QueuedRun, failure: str | None, metrics: Sequence[str], out: Path
) -> dict[str, Any]:
    """Status and scores of one run; scores only if it reached its end."""
    started = (queued.folder / "run.json").is_file()
    run = read_run(queued.folder) if started else None
    status, reason = (run.status, run.record.get("reason")) if run else (WAITING, None)
    if failure and status not in ENDED:
        reason = reason if reason and status == "failed" else failure
        status = "failed"
    return {
        "preset": queued.preset,
        "seed": queued.seed,
        "folder": queued.folder.relative_to(out).as_posix(),
        "status": status,
        "reason": reason,
        "step": run.record.get("step") if run else None,
        "embedder": last_value(run.lines, "preview/embedder") if run else None,
        "values": {name: _finite_score(run, name) for name in metrics}
        if run and status in ENDED
        else {},
    }


def _finite_score(run: Run, name: str) -> float | None:
    """A score in ``run.json``, else the last in ``metrics.jsonl``; None if not a finite number.

    ``best_validation_loss`` is the lowest in ``metrics.jsonl`` after step 0.
    """
    value = run.record.get(name)
    if value is None and name == "best_validation_loss":
        steps, losses = series(run.lines, "validation_loss")
        trained = losses[steps > 0].tolist()  # at step 0 it is the base's
        value = min((loss for loss in trained if math.isfinite(loss)), default=None)
    if value is None:
        value = last_value(run.lines, name)
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable and math.isfinite(value) else None


def _compare_presets(
    name: str, presets: Sequence[str], runs: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """One score: every preset's estimate, and its difference to the first preset's."""
    values = {
        preset: {run["seed"]: run["values"].get(name) for run in runs if run["preset"] == preset}
        for preset in presets
    }
    baseline = values[presets[0]]
    differences = with_holm(
        {preset: paired_difference(values[preset], baseline) for preset in presets[1:]}
    )
    entries = {}
    for preset in presets:
        found, difference = estimate(values[preset]), differences.get(preset)
        entries[preset] = asdict(found) | {
            "missing": list(found.missing),
            "difference": asdict(difference) if difference else None,
        }
    return {"title": METRICS.get(name, name), "presets": entries}
