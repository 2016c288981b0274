"""Build a DATASET folder from a source of tracks: ``dmm data build``.

Tracks are listed, cut and measured (in parallel), then it is decided what becomes of them, and
files are moved to where they belong. Repeatable: the same inputs and options give the same bytes,
for any number of processes. Resumable: each track's record is written after its clips, and a track
whose record and files still hold is not cut again. ``dataset.json`` is written last: where it is,
the dataset is whole.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dmm.errors import DmmError, InputError
from dmm.files import write_text
from dmm.workers import Workers

from ..dataset import Row, content_sha256
from ..layout import SPLITS
from ..leaks import leaks
from ..sources import Rejected, Track
from . import tables
from .attribution import attribution
from .copies import add_copies
from .cut import Job, cut_track
from .decide import Facets, Plan, decide, split_tracks
from .listing import list_tracks, requests
from .options import BuildOptions, claim_folder, remove_strays
from .records import (
    Record,
    can_follow,
    follow,
    read_arrays,
    read_record,
    record_key,
    remove_records,
)
from .rows import track_rows
from .track_facets import text_facets, weigh_facets


def build_dataset(
    out: Path,
    options: BuildOptions,
    *,
    input: Path | None = None,  # noqa: A002 - the option's name on the command line
    reg_input: Path | None = None,
    tags: Path | None = None,
    count: int = 100,
    jobs: int | None = None,
    ray: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Make ``out`` a dataset of the tracks found, and return what ``dataset.json`` says.

    ``input`` is what sources of files read, ``reg_input`` a folder of audio for regularisation,
    ``tags`` MTG-Jamendo's table for Song Describer, ``count`` how many pieces a generator makes.
    ``jobs`` is the number of processes (None: one per processor), ``ray`` the address of a Ray
    cluster to use instead. Refused inputs are named on stderr and in ``rejected.jsonl``;
    InputError if not one clip is left.
    """
    claim_folder(out, options, force=force)
    with _progress() as progress:
        workers = Workers(jobs or os.cpu_count() or 1, ray, progress)
        asked = requests(options, input, reg_input, tags, count)
        tracks, rejected = list_tracks(asked, progress)
        _report(rejected, progress.console)
        records, plan, facets = _cut_all(out.resolve(), tracks, options, workers)
        remove_records(out, keep=records)
        rows = [
            row
            for track in tracks
            if track.id in plan.places
            for row in track_rows(track, records[track.id], plan, facets, options)
        ]
        _report([r for r in plan.rejected.values() if r.start_s is None], progress.console)
        pulses = {clip.id: clip.pulse_s for r in records.values() for clip in r.clips}
        by_id = {track.id: track for track in tracks}
        rows += add_copies(out.resolve(), rows, by_id, pulses, options, workers)
    rejected += [r for track in tracks for r in records[track.id].rejected]
    rejected += plan.rejected.values()
    return _finish(out, options, rows, rejected, plan)


def _cut_all(
    out: Path, tracks: Sequence[Track], options: BuildOptions, workers: Workers
) -> tuple[dict[str, Record], Plan, Facets]:
    """Cut the tracks without a record, decide, and move every track to its place.

    What becomes of a track is known only once all are cut: one that gives no clip, or is vocal,
    takes no place in a split. Most then need only be moved; the few that cannot are cut again.
    """
    facets = text_facets(tracks)
    records = _read_records(out, tracks, options)
    _report([r for record in records.values() for r in record.rejected], workers.console)
    (out / "dataset.json").unlink(missing_ok=True)
    with_sound = [t for t in tracks if t.id not in records or records[t.id].clips]
    splits, _ = split_tracks(with_sound, options, facets)
    todo = {t.id: splits[t.id] for t in tracks if t.id not in records}
    while True:
        _cut([(t, todo[t.id]) for t in tracks if t.id in todo], out, options, workers, records)
        usable = [track for track in tracks if records[track.id].clips]
        plan = decide(usable, records, _prints(out, usable, records), options, facets)
        todo = {
            track.id: plan.places[track.id]
            for track in usable
            if not can_follow(records[track.id], *plan.of(records[track.id], track))
        }
        if not todo:
            break
    for track in usable:
        record = records[track.id]
        records[track.id] = follow(out, track.id, record, *plan.of(record, track))
    return records, plan, weigh_facets(out, usable, facets, options)


def _read_records(out: Path, tracks: Sequence[Track], options: BuildOptions) -> dict[str, Record]:
    found = {t.id: read_record(out, t, record_key(t, options)) for t in tracks}
    return {track: record for track, record in found.items() if record}


def _cut(
    places: Sequence[tuple[Track, str]],
    out: Path,
    options: BuildOptions,
    workers: Workers,
    records: dict[str, Record],
) -> None:
    """Cut tracks into their places, and put their records among the others."""
    jobs = [Job(track, place, options, out) for track, place in places]
    task = workers.progress.add_task("cutting", total=len(jobs), visible=bool(jobs))
    for job, record in zip(jobs, workers.map(cut_track, jobs), strict=True):
        _report(record.rejected, workers.console)
        workers.progress.advance(task)
        records[job.track.id] = record


def _prints(
    out: Path, tracks: Sequence[Track], records: Mapping[str, Record]
) -> dict[str, np.ndarray]:
    """Fingerprints by clip id."""
    return {
        clip.id: row
        for track in tracks
        for clip, row in zip(
            records[track.id].clips, read_arrays(out, track.id)["prints"], strict=True
        )
    }


def _finish(
    out: Path,
    options: BuildOptions,
    rows: Sequence[Row],
    rejected: Sequence[Rejected],
    plan: Plan,
) -> dict[str, Any]:
    """Write the describing files, ``dataset.json`` last, and remove what belongs to no clip."""
    tables.write_rejected(out, rejected)
    if not rows:
        raise InputError(_nothing_left(out, rejected))
    if found := leaks(rows, plan.grouping):
        raise DmmError(f"{out}: not written, for training would see the test: {found[0]}")
    remove_strays(out, keep={f"{row['split']}/{row['id']}" for row in rows})
    tables.write_captions(out, rows)
    tables.write_manifest(out, rows)
    tables.write_metadata(out, rows, options)
    tables.write_kohya_config(out, rows, options)
    write_text(out / "ATTRIBUTION.md", attribution(rows))
    summary = _summary(options, rows, len(rejected), plan)
    write_text(out / "dataset.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    return summary


def _nothing_left(out: Path, rejected: Sequence[Rejected]) -> str:
    reasons = Counter(r.reason for r in rejected)
    most = f"; most often: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"no clip could be made for {out}{most} (all {len(rejected)} refusals: rejected.jsonl)"


def _summary(
    options: BuildOptions, rows: Sequence[Row], n_rejected: int, plan: Plan
) -> dict[str, Any]:
    resolved = options.resolved()
    return {
        "format": resolved.pop("format"),
        "sources": [resolved.pop("source")],
        "options": resolved,
        "splits_grouped_by": plan.grouping,
        "evidence_of_voices": plan.learnt,
        "clips": {place: sum(row["split"] == place for row in rows) for place in SPLITS},
        "tracks": len({row["track"] for row in rows}),
        "rejected": n_rejected,
        "tool_version": metadata.version("diffusion-minimidi"),
        "content_sha256": content_sha256(rows),
    }


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def _report(rejected: Sequence[Rejected], console: Console) -> None:
    for r in rejected:
        where = "" if r.start_s is None else f" at {r.start_s:.2f} s"
        line = f"refused {r.input}{where}: {r.reason}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
