"""Presets held against each other: a queue of training runs that can be interrupted at any moment.

OUT/PRESET/seed-0, seed-1 ... are RUN folders. What is done follows from them alone: a run that came
to its end is kept, one that did not is resumed from its newest state, or begun again. Seeds are
interleaved, so that the queue can be judged before it is through.
"""

import shutil
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import toml

from ...errors import DmmError, InputError
from ..runs import DONE, FILES, newest_state, read_run, read_settings
from .plan import Planned, Resolve, Settings, Sources, plan, read_sources, stated_settings
from .table import write_table

Trainer = Callable[..., Path]
"""``dmm.training.train.train``, or what does the same."""


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
    """Train every preset under seeds 0 to ``seeds`` - 1 and compare them with the first one.

    Returns what is written to ``ablation.json`` (and, as a page, ``ablation.md``) after each run.
    ``settings`` are ``key=value`` words over all presets, ``metrics`` what is compared instead of
    the usual scores. A run that fails is named in the result and the queue goes on.

    Before the first run PresetError or InputError, if presets cannot be compared, or if a run
    that is there was made from other settings, data or base. KeyboardInterrupt, also within a
    run, ends the queue.
    """
    if trainer is None:
        from ..train import train as trainer
    sources = read_sources(dataset, base)
    queue = plan(presets, out, seeds, settings, resolve)
    for planned in queue:
        _refuse_another(planned, sources)
    failures: dict[Path, str] = {}
    table = write_table(out, queue, sources, failures, metrics)
    for number, planned in enumerate(queue, start=1):
        print(f"[{number}/{len(queue)}] {planned.preset}, seed {planned.seed}", file=sys.stderr)
        before = _last_word(planned.folder)
        try:
            _run(planned, sources, trainer)
        except DmmError as error:
            failures[planned.folder] = str(error)
            print(f"failed: {error}", file=sys.stderr)
        finally:
            table = write_table(out, queue, sources, failures, metrics)
        if _status(planned.folder) == "interrupted" and _last_word(planned.folder) != before:
            raise KeyboardInterrupt
    return table


def _refuse_another(planned: Planned, sources: Sources) -> None:
    """InputError if the folder holds a run of other settings, data or base, or no run at all."""
    folder = planned.folder
    remedy = "name another --out, or move the folder away"
    if not _is_run(folder):
        if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise InputError(f"{folder}: holds files that are no training run; {remedy}")
        return
    if (folder / "preset.toml").is_file():
        found, asked = read_settings(folder), _as_read(planned.settings)
        keys = sorted(key for key in found | asked if found.get(key) != asked.get(key))
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise InputError(
                f"{folder}: trained with {keys[0]} = {found.get(keys[0])!r}{more}, asked for is "
                f"{asked.get(keys[0])!r}; {remedy}"
            )
    record = read_run(folder).record if (folder / "run.json").is_file() else {}
    for what in ("dataset", "base"):
        asked_for = getattr(sources, f"{what}_sha256")
        if record.get(f"{what}_sha256", asked_for) != asked_for:
            raise InputError(f"{folder}: trained with another {what} than is asked for; {remedy}")


def _run(planned: Planned, sources: Sources, trainer: Trainer) -> None:
    """Bring one run to its end, from wherever it stands."""
    folder = planned.folder
    if _status(folder) in DONE:
        return
    resume = _has_usable_state(planned)
    if not resume and folder.exists() and any(folder.iterdir()):
        _move_aside(folder)
    trainer(
        planned.preset,
        sources.dataset,
        sources.base,
        folder,
        settings=planned.words,
        resume=resume,
    )


def _has_usable_state(planned: Planned) -> bool:
    """Whether there is a state from which steps are left to train.

    A run that was killed between its last state and its LoRA has one from which none are: that
    state is deleted, and the run goes on from the one before.
    """
    last = f"step-{planned.settings.get('max_train_steps', 0):06d}"
    if (planned.folder / "state" / last).is_dir():
        shutil.rmtree(planned.folder / "state" / last)
    return newest_state(planned.folder) is not None


def _move_aside(folder: Path) -> None:
    """Rename a run that cannot be resumed; nothing is deleted."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}-broken-{number}")).exists():
        number += 1
    folder.rename(aside)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in FILES)


def _status(folder: Path) -> str | None:
    """What a run says of itself; None where it has said nothing yet."""
    return read_run(folder).status if (folder / "run.json").is_file() else None


def _last_word(folder: Path) -> int | None:
    """When ``run.json`` was written, in ns; None without one."""
    path = folder / "run.json"
    return path.stat().st_mtime_ns if path.is_file() else None


def _as_read(settings: Settings) -> dict[str, Any]:
    """Settings as they come back from a TOML file."""
    return tomllib.loads(toml.dumps(dict(settings)))
