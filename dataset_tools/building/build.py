"""Build a DATASET folder from a source of tracks: ``dmm data build``.

Tracks are listed, then cut and measured in parallel; then every track is assigned to a split and
its files are moved there. Repeatable: the same inputs and options give the same bytes, for any
number of processes. Resumable: a track's record is written after its clips, and a track whose
record is valid is not cut again. ``dataset.json`` is written last: a folder that has it holds a
complete dataset.
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
from dmm.files import folder_lock, write_text
from dmm.terminal import printable
from dmm.workers import Workers

from ..captions.edits import read_edits, with_edits
from ..dataset import Row, content_sha256
from ..description import Description
from ..layout import SPLITS
from ..leaks import find_leaks
from ..sources import Rejected, Track
from . import tables
from .attribution import attribution_markdown
from .copies import write_copies
from .cut import CutJob, cut_track
from .decide import Facets, Placement, place_tracks, split_tracks
from .listing import list_tracks, source_requests
from .options import BuildOptions
from .output_folder import check_folder, prepare_folder, remove_stray_files
from .records import (
    TrackRecord,
    can_relocate,
    read_arrays,
    read_valid_record,
    record_key,
    recorded_tracks,
    relocate_clips,
    remove_other_records,
)
from .rows import track_rows
from .track_facets import (
    describe_by_sound,
    facets_with_sound_votes,
    text_facets,
    with_described_caption,
)


def build_dataset(
    out: Path,
    options: BuildOptions,
    *,
    input: Path | None = None,  # noqa: A002 - the option's name on the command line
    reg_input: Path | None = None,
    tags: Path | None = None,
    count: int = 100,
    jobs: int | None = None,
    ray_address: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Build a dataset in ``out``, or continue an interrupted build; returns ``dataset.json``.

    Tracks of an earlier build that are not in the input now are removed, which stderr says first.
    ``input`` is the file or folder that the source reads, ``reg_input`` a folder of audio for
    regularisation, ``tags`` MTG-Jamendo's table for Song Describer, ``count`` the number of pieces
    that a generator makes. ``jobs`` is the number of processes (None: one per processor),
    ``ray_address`` the address of a Ray cluster to use instead. ``force`` discards the dataset of
    an earlier build, after the options were checked and the tracks listed. Refused inputs are
    listed on stderr and in ``rejected.jsonl``. InputError if no clip is left.
    """
    with folder_lock(out), _make_progress() as progress:
        check_folder(out, options, force=force)
        workers = Workers(jobs or os.cpu_count() or 1, ray_address, progress)
        requests = source_requests(options, input, reg_input, tags, count)
        tracks, rejected = list_tracks(requests, progress)
        prepare_folder(out, options, force=force)
        _print_dropped_tracks(out, tracks, progress.console)
        _print_refusals(rejected, progress.console)
        records, placement, facets, descriptions = _cut_and_place_tracks(
            out.resolve(), tracks, options, workers
        )
        described = descriptions if options.describe else {}
        tracks = [with_described_caption(track, facets, options) for track in tracks]
        remove_other_records(out, keep=records)
        rows = [
            row
            for track in tracks
            if track.id in placement.places
            for row in track_rows(
                track, records[track.id], placement, facets, options, described.get(track.id)
            )
        ]
        _print_refusals(
            [r for r in placement.rejected.values() if r.start_s is None], progress.console
        )
        rows = with_edits(rows, read_edits(out), _anchor_by_split(options))
        beat_periods = {clip.id: clip.pulse_s for r in records.values() for clip in r.clips}
        by_id = {track.id: track for track in tracks}
        rows += write_copies(out.resolve(), rows, by_id, beat_periods, options, workers)
        rejected += [r for track in tracks for r in records[track.id].rejected]
        rejected += placement.rejected.values()
        return _finish_dataset(out, options, rows, rejected, placement)


def _cut_and_place_tracks(
    out: Path, tracks: Sequence[Track], options: BuildOptions, workers: Workers
) -> tuple[dict[str, TrackRecord], Placement, Facets, dict[str, Description]]:
    """Cut tracks without a valid record, place all, move their clips; returns facts by track id.

    These are the records, the placement, the facets, and the descriptions by sound.

    The split of a track is known only once all are cut, because tracks without clips and vocal
    tracks do not count. Files of most tracks are then moved; a few tracks are cut again.
    """
    facets = text_facets(tracks)
    records = _read_valid_records(out, tracks, options)
    _print_refusals([r for record in records.values() for r in record.rejected], workers.console)
    (out / "dataset.json").unlink(missing_ok=True)
    with_sound = [t for t in tracks if t.id not in records or records[t.id].clips]
    splits, _ = split_tracks(with_sound, options, facets)
    to_cut = {t.id: splits[t.id] for t in tracks if t.id not in records}
    while True:
        _cut_tracks(
            [(t, to_cut[t.id]) for t in tracks if t.id in to_cut], out, options, workers, records
        )
        usable = [track for track in tracks if records[track.id].clips]
        placement = place_tracks(
            usable, records, _read_fingerprints(out, usable, records), options, facets
        )
        to_cut = {
            track.id: placement.places[track.id]
            for track in usable
            if not can_relocate(
                records[track.id], *placement.place_and_left_out(records[track.id], track)
            )
        }
        if not to_cut:
            break
    for track in usable:
        record = records[track.id]
        records[track.id] = relocate_clips(
            out, track.id, record, *placement.place_and_left_out(record, track)
        )
    descriptions = describe_by_sound(out, usable, records, options)
    return records, placement, facets_with_sound_votes(usable, facets, descriptions), descriptions


def _read_valid_records(
    out: Path, tracks: Sequence[Track], options: BuildOptions
) -> dict[str, TrackRecord]:
    """Read the valid records, by track id; tracks without one are missing."""
    found = {t.id: read_valid_record(out, t, record_key(t, options)) for t in tracks}
    return {track: record for track, record in found.items() if record}


def _cut_tracks(
    tracks_and_splits: Sequence[tuple[Track, str]],
    out: Path,
    options: BuildOptions,
    workers: Workers,
    records: dict[str, TrackRecord],
) -> None:
    """Cut tracks in parallel and add their records to ``records``."""
    jobs = [CutJob(track, place, options, out) for track, place in tracks_and_splits]
    task = workers.progress.add_task("cutting", total=len(jobs), visible=bool(jobs))
    for job, record in zip(jobs, workers.map(cut_track, jobs), strict=True):
        _print_refusals(record.rejected, workers.console)
        workers.progress.advance(task)
        records[job.track.id] = record


def _read_fingerprints(
    out: Path, tracks: Sequence[Track], records: Mapping[str, TrackRecord]
) -> dict[str, np.ndarray]:
    """Read the fingerprints of the tracks' clips, by clip id."""
    return {
        clip.id: row
        for track in tracks
        for clip, row in zip(
            records[track.id].clips, read_arrays(out, track.id)["prints"], strict=True
        )
    }


def _finish_dataset(
    out: Path,
    options: BuildOptions,
    rows: Sequence[Row],
    rejected: Sequence[Rejected],
    placement: Placement,
) -> dict[str, Any]:
    """Write the files that describe the dataset, ``dataset.json`` last; returns its content.

    Files of clips that the dataset does not have are removed. InputError if no clip is left,
    DmmError if clips leak between training and test; then there is no ``dataset.json``.
    """
    tables.write_rejected(out, rejected)
    if not rows:
        raise InputError(_nothing_left_message(out, rejected))
    if found := find_leaks(rows, placement.grouping):
        raise DmmError(f"{out}: not finished, because test clips leak into training: {found[0]}")
    remove_stray_files(out, keep={f"{row['split']}/{row['id']}" for row in rows})
    tables.write_captions(out, rows)
    tables.write_manifest(out, rows)
    tables.write_metadata(out, rows, _anchor_by_split(options))
    tables.write_kohya_config(out, rows, options)
    write_text(out / "ATTRIBUTION.md", attribution_markdown(rows))
    summary = _dataset_json(options, rows, len(rejected), placement)
    write_text(out / "dataset.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    return summary


def _anchor_by_split(options: BuildOptions) -> dict[str, str]:
    return {split: options.anchor_for_split(split) for split in SPLITS}


def _nothing_left_message(out: Path, rejected: Sequence[Rejected]) -> str:
    reasons = Counter(r.reason for r in rejected)
    most = f"; most often: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"no clip could be made for {out}{most} (all {len(rejected)} refusals: rejected.jsonl)"


def _dataset_json(
    options: BuildOptions, rows: Sequence[Row], n_rejected: int, placement: Placement
) -> dict[str, Any]:
    """Compose the content of ``dataset.json``."""
    resolved = options.resolved_json()
    return {
        "format": resolved.pop("format"),
        "sources": [resolved.pop("source")],
        "options": resolved,
        "splits_grouped_by": placement.grouping,
        "evidence_of_voices": placement.evidence_quality,
        "clips": {split: sum(row["split"] == split for row in rows) for split in SPLITS},
        "tracks": len({row["track"] for row in rows}),
        "rejected": n_rejected,
        "tool_version": metadata.version("diffusion-minimidi"),
        "content_sha256": content_sha256(rows),
    }


def _make_progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def _print_refusals(rejected: Sequence[Rejected], console: Console) -> None:
    """Print one line for each refused track or window."""
    for r in rejected:
        where = "" if r.start_s is None else f" at {r.start_s:.2f} s"
        line = f"refused {r.input}{where}: {r.reason}"
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def _print_dropped_tracks(out: Path, tracks: Sequence[Track], console: Console) -> None:
    """Print how many tracks of an earlier build will be removed, before anything is."""
    earlier = recorded_tracks(out)
    if dropped := earlier - {track.id for track in tracks}:
        line = (
            f"{len(dropped)} of the {len(earlier)} tracks of the earlier build are not in the "
            "input now; their clips will be removed"
        )
        console.print(line, highlight=False, soft_wrap=True)
