"""Compare presets by a queue of training runs, which can be interrupted and continued.

OUT/PRESET/seed-0, seed-1 ... are RUN folders, and decide alone what is left to do: a run that
reached its end is kept; another is resumed from its newest state, or started again. Seeds are
interleaved, so that results can be read before the queue is done.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import toml

from ...errors import DmmError, InputError
from ...files import folder_lock, parse_toml
from ..facts import read_dataset_facts
from ..runs import ENDED, RUN_FILES, newest_state, read_run, read_settings
from .queue import QueuedRun, Resolve, Settings, Sources, queue_runs, read_sources, stated_settings
from .table import write_table

Trainer = Callable[..., Path]
"""``dmm.training.train.train``, or a function with its parameters."""


def ablate(
    presets: Sequence[str],
    dataset: Path,
    base: Path,
    out: Path,
    seeds: int = 3,
    settings: Sequence[str] = (),
    metrics: Sequence[str] = (),
    trainer: Trainer | None = None,
    resolve: Resolve = stated_settings,
) -> dict[str, Any]:
    """Train every preset with each seed, compare it with the first, and return ``ablation.json``.

    Seeds are 0 to ``seeds`` - 1. ``ablation.json`` and ``ablation.md`` are written after each run.
    ``settings`` are ``key=value`` words that override all presets; ``metrics`` replace the default
    scores. A run that fails is named in the result, and the queue continues.

    PresetError or InputError, before the first run, if presets cannot be compared, or if an
    existing run has other settings, data or base, or another command writes to ``out``.
    KeyboardInterrupt, also within a run, ends the queue.
    """
    if trainer is None:
        from ..train import train as trainer
    sources = read_sources(dataset, base)
    read_facts = cache(lambda: read_dataset_facts(dataset))
    queue = queue_runs(presets, out, seeds, settings, resolve, read_facts)
    with folder_lock(out):
        for queued in queue:
            _refuse_other_contents(queued, sources)
        return _run_queue(queue, sources, out, metrics, trainer)


def _run_queue(
    queue: Sequence[QueuedRun],
    sources: Sources,
    out: Path,
    metrics: Sequence[str],
    trainer: Trainer,
) -> dict[str, Any]:
    failures: dict[Path, str] = {}
    table = write_table(out, queue, sources, failures, metrics)
    for number, queued in enumerate(queue, start=1):
        print(f"[{number}/{len(queue)}] {queued.preset}, seed {queued.seed}", file=sys.stderr)
        time_before = _record_time(queued.folder)
        try:
            _train_to_the_end(queued, sources, trainer)
        except DmmError as error:
            failures[queued.folder] = str(error)
            print(f"failed: {error}", file=sys.stderr)
        finally:
            table = write_table(out, queue, sources, failures, metrics)
        if (
            _status_if_started(queued.folder) == "interrupted"
            and _record_time(queued.folder) != time_before
        ):
            raise KeyboardInterrupt
    return table


def _refuse_other_contents(queued: QueuedRun, sources: Sources) -> None:
    """InputError if the folder holds a run with other settings, data or base, or other files."""
    folder = queued.folder
    remedy = "name another --out, or move the folder away"
    if not _is_run(folder):
        if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise InputError(f"{folder}: holds files that are no training run; {remedy}")
        return
    if (folder / "preset.toml").is_file():
        found, requested = read_settings(folder), _after_toml_round_trip(queued.settings)
        keys = sorted(key for key in found | requested if found.get(key) != requested.get(key))
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise InputError(
                f"{folder}: trained with {keys[0]} = {found.get(keys[0])!r}{more}, requested is "
                f"{requested.get(keys[0])!r}; {remedy}"
            )
    record = read_run(folder).record if (folder / "run.json").is_file() else {}
    for what in ("dataset", "base"):
        requested = getattr(sources, f"{what}_sha256")
        if record.get(f"{what}_sha256", requested) != requested:
            raise InputError(f"{folder}: trained with another {what} than requested; {remedy}")


def _train_to_the_end(queued: QueuedRun, sources: Sources, trainer: Trainer) -> None:
    """Train one run to its end: resume or start it; a run that has ended is skipped."""
    folder = queued.folder
    if _status_if_started(folder) in ENDED:
        return
    resume = newest_state(folder) is not None
    if not resume and folder.exists() and any(folder.iterdir()):
        _move_aside(folder)
    trainer(
        queued.preset,
        sources.dataset,
        sources.base,
        folder,
        settings=queued.words,
        resume=resume,
    )


def _move_aside(folder: Path) -> None:
    """Rename the folder of a run that cannot be resumed; nothing is deleted."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}-broken-{number}")).exists():
        number += 1
    folder.rename(aside)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in RUN_FILES)


def _status_if_started(folder: Path) -> str | None:
    """Status of a run; None if it has no record yet."""
    return read_run(folder).status if (folder / "run.json").is_file() else None


def _record_time(folder: Path) -> int | None:
    """Modification time of ``run.json`` in ns; None without one."""
    path = folder / "run.json"
    return path.stat().st_mtime_ns if path.is_file() else None


def _after_toml_round_trip(settings: Settings) -> dict[str, Any]:
    """Settings after a round trip through TOML."""
    return parse_toml(toml.dumps(dict(settings)), "settings")
