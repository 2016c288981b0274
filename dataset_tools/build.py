"""Build a DATASET folder from a source of tracks: ``dmm data build``.

Repeatable: the same inputs and options give the same bytes, for any number of processes.
Resumable: each track's record is written after its clips, and a track whose record and files
still hold is not cut again. ``dataset.json`` is written last: where it is, the dataset is whole.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dmm.errors import InputError
from dmm.files import write_text
from dmm.mel import load_format

from . import tables
from .clips import Job, Record, cut_track, read_record, record_key, remove_records
from .options import BuildOptions, claim_folder, remove_strays
from .sources import Rejected, SourceRequest, Track, source_tracks
from .splits import SPLITS, assign_splits
from .workers import map_in_order


def build_dataset(
    out: Path,
    options: BuildOptions,
    *,
    input: Path | None = None,  # noqa: A002 - the option's name on the command line
    count: int = 100,
    jobs: int | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Make ``out`` a dataset of the tracks found, and return what ``dataset.json`` says.

    ``input`` is the folder that source "folder" reads, ``count`` how many pieces a generator
    makes, ``jobs`` the number of processes (None: one per processor). Refused inputs are named on
    stderr and in ``rejected.jsonl``; InputError if not one clip is left.
    """
    fmt = load_format(options.format)
    duration_s = fmt.clip_duration_s
    request = SourceRequest(
        input, options.licence, count, options.styles, options.seed, duration_s,
        instruments=options.instruments, unseen=options.unseen, soundfont=options.soundfont,
    )  # fmt: skip
    claim_folder(out, options, force=force)
    with _progress() as progress:
        tracks, rejected = _list_tracks(options.source, request, progress)
        _report(rejected, progress.console)
        records, grouping = _cut_all(out, tracks, options, jobs or os.cpu_count() or 1, progress)
    ordered = [records[track.id] for track in tracks]
    rejected += [r for record in ordered for r in record.rejected]
    remove_records(out, keep=records)
    return _finish(out, options, ordered, rejected, grouping)


def _list_tracks(
    source: str, request: SourceRequest, progress: Progress
) -> tuple[list[Track], list[Rejected]]:
    """List the source's tracks, each sound once, and what the source refused."""
    tracks: dict[str, Track] = {}
    rejected: list[Rejected] = []
    task = progress.add_task("listing", total=None)
    for found in source_tracks(source, request):
        progress.advance(task)
        if isinstance(found, Rejected):
            rejected.append(found)
        elif (first := tracks.setdefault(found.sha256, found)) is not found:
            rejected.append(Rejected(found.input, f"duplicate: the same bytes as {first.input}"))
    progress.update(task, total=len(tracks) + len(rejected))
    return list(tracks.values()), rejected


def _cut_all(
    out: Path, tracks: Sequence[Track], options: BuildOptions, processes: int, progress: Progress
) -> tuple[dict[str, Record], str]:
    """Return every track's record, cutting those without, and what the splits were grouped by.

    A track that gives no clip must not take a place in a split, and that is known only once it is
    cut: so splits are assigned again after cutting, and the few tracks that move are cut again.
    """
    records: dict[str, Record] = {}
    for track in tracks:
        if record := read_record(out, track, record_key(track, options)):
            records[track.id] = record
            _report(record.rejected, progress.console)
    task = progress.add_task("cutting", total=len(tracks), completed=len(records))
    while True:
        usable = [t for t in tracks if t.id not in records or records[t.id].rows]
        splits, grouping = assign_splits(usable, options.seed, options.val, options.test)
        todo = [
            Job(t, splits[t.id], options, out)
            for t in usable
            if t.id not in records or records[t.id].split != splits[t.id]
        ]
        if not todo:
            return records, grouping
        (out / "dataset.json").unlink(missing_ok=True)
        for job, record in zip(todo, map_in_order(cut_track, todo, processes), strict=True):
            if job.track.id not in records:
                _report(record.rejected, progress.console)
                progress.advance(task)
            records[job.track.id] = record


def _finish(
    out: Path,
    options: BuildOptions,
    records: Sequence[Record],
    rejected: Sequence[Rejected],
    grouping: str,
) -> dict[str, Any]:
    """Write the describing files, ``dataset.json`` last, and remove what belongs to no clip."""
    rows = [row for record in records for row in record.rows]
    tables.write_rejected(out, rejected)
    if not rows:
        raise InputError(_nothing_left(out, rejected))
    remove_strays(out, keep={f"{row['split']}/{row['id']}" for row in rows})
    tables.write_manifest(out, rows)
    tables.write_metadata(out, rows, options.anchor)
    tables.write_kohya_config(out, load_format(options.format), options.anchor)
    summary = _summary(options, rows, len(rejected), grouping)
    write_text(out / "dataset.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    return summary


def _nothing_left(out: Path, rejected: Sequence[Rejected]) -> str:
    reasons = Counter(r.reason for r in rejected)
    most = f"; most often: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"no clip could be made for {out}{most} (all {len(rejected)} refusals: rejected.jsonl)"


def _summary(
    options: BuildOptions, rows: Sequence[dict[str, Any]], n_rejected: int, grouping: str
) -> dict[str, Any]:
    resolved = options.resolved()
    return {
        "format": resolved.pop("format"),
        "sources": [resolved.pop("source")],
        "options": resolved,
        "splits_grouped_by": grouping,
        "clips": {split: sum(row["split"] == split for row in rows) for split in SPLITS},
        "tracks": len({row["track"] for row in rows}),
        "rejected": n_rejected,
        "tool_version": metadata.version("diffusion-minimidi"),
        "content_sha256": tables.content_sha256(rows),
    }


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def _report(rejected: Sequence[Rejected], console: Console) -> None:
    for r in rejected:
        where = "" if r.start_s is None else f" at {r.start_s:.2f} s"
        line = f"refused {r.input}{where}: {r.reason}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
