"""Notes under an ablation's table: failed and missing runs, and what few seeds can show."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ..runs import ENDED
from .statistics import few_seeds_warning

Result = dict[str, Any]
"""A run in ``ablation.json``."""
WAITING = "waiting"
"""The status of a run that has not started."""


def notes(runs: Sequence[Result], measured: Sequence[str]) -> list[str]:
    """All notes, one sentence each, the most important first."""
    found = [
        *_failure_notes(runs),
        *_unfinished_note(runs),
        *_early_stop_notes(runs),
        *_missing_value_notes(runs, measured),
    ]
    baseline = runs[0]["preset"]
    finished = sum(run["preset"] == baseline and run["status"] in ENDED for run in runs)
    if finished and (words := few_seeds_warning(finished)):
        found.append(words)
    if len({run["preset"] for run in runs}) > 2:
        found.append(
            "p (Holm) is corrected for the number of presets within one score, not for the number "
            "of scores: with several scores a small p is likelier by chance."
        )
    if embedders := sorted({run["embedder"] for run in runs if run["embedder"]}):
        found.append(f"Scores of previews are by {', '.join(embedders)} on a few clips.")
    return found


def unmeasured_notes(unmeasured: Collection[str], runs: Sequence[Result]) -> list[str]:
    """A sentence on each of these ``unmeasured`` scores; none until a run has reached its end."""
    some = any(run["status"] in ENDED for run in runs)
    return [f"No run measured {name}; check its name." for name in sorted(unmeasured) if some]


def _failure_notes(runs: Sequence[Result]) -> Iterator[str]:
    """Yield a note on each failed run, and a warning if there are any."""
    failed = [run for run in runs if run["status"] == "failed"]
    for run in failed:
        yield f"{_run_name(run)} failed: {run['reason'] or 'no reason was left'}"
    if failed:
        yield (
            f"{len(failed)} of {len(runs)} runs failed and are in no mean: a preset that sometimes "
            "fails looks better than it is."
        )


def _unfinished_note(runs: Sequence[Result]) -> Iterator[str]:
    """Yield one note with the number of runs that are not done, if there are any."""
    waiting = [run for run in runs if run["status"] not in (*ENDED, "failed")]
    if waiting:
        yield f"{len(waiting)} of {len(runs)} runs are not done yet; means are of the others."


def _early_stop_notes(runs: Sequence[Result]) -> Iterator[str]:
    """Yield a note on each run that stopped early."""
    for run in runs:
        if run["status"] == "stopped":
            why = f": {run['reason']}" if run["reason"] else ""
            yield f"{_run_name(run)} stopped early, at step {run['step']}{why}"


def _missing_value_notes(runs: Sequence[Result], measured: Sequence[str]) -> Iterator[str]:
    """Yield a note on each score that finished runs lack."""
    for name in measured:
        done = [run for run in runs if run["status"] in ENDED]
        lacking = [_run_name(run) for run in done if run["values"].get(name) is None]
        if lacking:
            yield f"{name} is missing or not finite, and in no mean, for {', '.join(lacking)}"


def _run_name(run: Result) -> str:
    return f"{run['preset']} with seed {run['seed']}"
