"""Augmented copies of training clips: cut from the audio again, changed, and written beside them.

The first copy of clip ``NAME-HASH-0003`` is ``NAME-HASH-a1-0003``; its manifest row holds the
parameters of the augmentation. Each track's record of copies is written after their images, so that
an interrupted build can continue.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from dmm.codec.image import write_image
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError
from dmm.files import parse_json, read_json, sha256_file, write_text
from dmm.workers import Workers

from ..augmentation.augment import augment, spec_augment
from ..augmentation.augmented_caption import augmented_caption
from ..augmentation.mixup import nearest_tempo_factor
from ..captions.clean import full_prompt
from ..captions.tokens import count_tokens, fit_to_token_limit
from ..dataset import Row
from ..layout import BUILD_FOLDER
from ..quality import Quality, measure_quality
from ..sources import Sound, Track, text_sha256
from .clip_ids import copy_id, window_number
from .cut import amplified, track_windows, with_none_for_infinity
from .options import BuildOptions
from .records import record_key

SPARE_S = 1.0
"""Seconds of sound after a clip, which a faster tempo needs."""


@dataclass(frozen=True)
class CopyJob:
    """A track's training clips to copy, and the clips that ``mixup`` mixes into the copies."""

    track: Track
    rows: tuple[Row, ...]
    partners: tuple[tuple[Track, Row] | None, ...]
    """Track and row of the clip to mix into each row's copies, or None; empty without ``mixup``."""
    options: BuildOptions
    folder: Path
    """The dataset folder."""

    @property
    def content_key(self) -> str:
        """Hash of everything that decides the images, captions and measurements of the copies."""
        clips = [*self.rows, *(partner and partner[1] for partner in self.partners)]
        facts = [row and (row["id"], row["track_sha256"], row["caption"]) for row in clips]
        return text_sha256(json.dumps([record_key(self.track, self.options), facts]))


def write_copies(
    folder: Path,
    rows: Sequence[Row],
    tracks: Mapping[str, Track],
    beat_periods: Mapping[str, float | None],
    options: BuildOptions,
    workers: Workers,
) -> list[Row]:
    """Write the augmented copies of all training clips and return their rows.

    Unchanged copies of an earlier build are kept. Without ``options.augment`` there are no copies.
    ``beat_periods``: clip id to seconds per beat, None without a steady beat.
    """
    jobs = list(_copy_jobs(folder, rows, tracks, beat_periods, options)) if options.augment else []
    record_paths = {copies_record_path(folder, job.track.id) for job in jobs}
    for path in (folder / BUILD_FOLDER).glob("copies-*.json"):
        if path not in record_paths:
            path.unlink()
    done = {job.track.id: _unchanged_copies(job) for job in jobs}
    todo = [job for job in jobs if done[job.track.id] is None]
    task = workers.progress.add_task("augmenting", total=len(todo), visible=bool(todo))
    for job, made in zip(todo, workers.map(write_track_copies, todo), strict=True):
        workers.progress.advance(task)
        done[job.track.id] = made
    return [row for job in jobs for row in done[job.track.id] or ()]


def _copy_jobs(
    folder: Path,
    rows: Sequence[Row],
    tracks: Mapping[str, Track],
    beat_periods: Mapping[str, float | None],
    options: BuildOptions,
) -> Iterator[CopyJob]:
    """Yield one job for each track with training clips."""
    training = [row for row in rows if row["split"] == "train"]
    partner_of = (
        _mixup_partners(training, tracks, beat_periods) if "mixup" in options.augment else {}
    )
    for track, group in groupby(training, key=lambda row: row["track"]):
        clips = tuple(group)
        partners = tuple(partner_of.get(row["id"]) for row in clips) if partner_of else ()
        yield CopyJob(tracks[track], clips, partners, options, folder)


def _mixup_partners(
    training: Sequence[Row], tracks: Mapping[str, Track], beat_periods: Mapping[str, float | None]
) -> dict[str, tuple[Track, Row]]:
    """Clip id to the clip that is mixed into its copies; clips without a fitting one are missing.

    The partner is the next clip of another track whose tempo ``nearest_tempo_factor`` accepts, in
    the order of the ids' hashes: partners are spread evenly, and one more clip changes few pairs.
    """
    hashed = sorted(training, key=lambda row: text_sha256(row["id"]))
    steady = [(row, pulse) for row in hashed if (pulse := beat_periods[row["id"]])]
    partner_of: dict[str, tuple[Track, Row]] = {}
    for n, (row, pulse) in enumerate(steady):
        others = (steady[(n + k) % len(steady)] for k in range(1, len(steady)))
        for other, other_pulse in others:
            if (
                other["track"] != row["track"]
                and nearest_tempo_factor(other_pulse, pulse) is not None
            ):
                partner_of[row["id"]] = tracks[other["track"]], other
                break
    return partner_of


def write_track_copies(job: CopyJob) -> list[Row]:
    """Write the copies of a track's clips, then their record; returns the copies' rows."""
    parents = {window_number(row["id"]): (n, row) for n, row in enumerate(job.rows)}
    made: list[Row] = []
    for window in track_windows(job.track, job.options, SPARE_S):
        if window.index in parents:
            n, row = parents[window.index]
            partner = job.partners[n] if job.partners else None
            made += _write_clip_copies(job, row, window.sound, partner)
    made.sort(key=lambda row: row["id"])
    write_text(
        copies_record_path(job.folder, job.track.id),
        json.dumps([job.content_key, made], indent=1) + "\n",
    )
    return made


def _write_clip_copies(
    job: CopyJob, row: Row, sound: Sound, partner: tuple[Track, Row] | None
) -> Iterator[Row]:
    """Write the copies of one clip, and yield the row of each."""
    fmt, names = load_format(job.options.format), job.options.augment
    loud = amplified(sound, row["gain_db"])
    mixed = _read_partner_sound(*partner, job.options) if partner else None
    for name in (copy_id(row["id"], n) for n in range(1, job.options.copies + 1)):
        seed_text = f"{job.options.seed} {name}"
        clip, parameters = augment(loud, fmt.sr, fmt.clip_samples, names, seed_text, mixed)
        if partner and "mixup" in parameters:
            parameters["mixup"] |= {"partner": partner[1]["id"], "caption": partner[1]["caption"]}
        image = encode(clip, fmt)
        if "spec" in names:
            image, masks = spec_augment(image, seed_text)
            parameters |= masks
        path = job.folder / "train" / f"{name}.png"
        write_image(path, image, fmt)
        measured = with_none_for_infinity(measure_quality(clip, fmt.sr)) | {
            "sha256": sha256_file(path)
        }
        yield _copy_row(name, row, parameters, job.options.anchor) | measured


def _read_partner_sound(track: Track, row: Row, options: BuildOptions) -> Sound:
    """Sound of the clip to mix in, at its gain, and up to ``SPARE_S`` after it."""
    number = window_number(row["id"])
    sounds = (w.sound for w in track_windows(track, options, SPARE_S) if w.index == number)
    return amplified(next(sounds), row["gain_db"])


def _copy_row(name: str, parent: Row, parameters: dict[str, Any], anchor: str) -> Row:
    """Manifest row of a copy: its parent's, with an id and a caption that fits the augmentation."""
    caption, _ = fit_to_token_limit(anchor, augmented_caption(parent["caption"], parameters))
    if caption == parent["caption"]:
        changes = parent["caption_changes"]
    else:
        change = {"rule": "augmentation", "before": parent["caption"], "after": caption}
        changes = [*parent["caption_changes"], change]
    return parent | {
        "id": name,
        "parent": parent["id"],
        "caption": caption,
        "caption_changes": changes,
        "tokens": count_tokens(full_prompt(anchor, caption)),
        "augmentation": json.dumps(parameters, sort_keys=True),
    }


def with_updated_copies(rows: Sequence[Row], edited: Collection[str], anchor: str) -> list[Row]:
    """Rows in which copies of edited clips, or mixed with one, are as the next build makes them.

    ``edited`` are ids of clips whose rows have a new caption.
    """
    by_id = {row["id"]: row for row in rows}
    return [
        _updated_copy(row, by_id, edited, anchor) if row["parent"] in by_id else row for row in rows
    ]


def _updated_copy(copy: Row, by_id: Mapping[str, Row], edited: Collection[str], anchor: str) -> Row:
    parameters = _augmentation_parameters(copy)
    mixup = parameters.get("mixup")
    if mixup and mixup["partner"] in edited:
        mixup["caption"] = by_id[mixup["partner"]]["caption"]
    elif copy["parent"] not in edited:
        return copy
    return _row_with_current_parent(copy, by_id[copy["parent"]], parameters, anchor)


def _row_with_current_parent(
    copy: Row, parent: Row, parameters: dict[str, Any], anchor: str
) -> Row:
    """The row of a finished copy, with its parent's present facts, such as vocal evidence."""
    measured = {name: copy[name] for name in (*Quality.__dataclass_fields__, "sha256")}
    return _copy_row(copy["id"], parent, parameters, anchor) | measured


def _augmentation_parameters(copy: Row) -> dict[str, Any]:
    return parse_json(copy["augmentation"], copy["id"], dict[str, Any])


def copies_record_path(folder: Path, track: str) -> Path:
    """Path of the record of a track's copies."""
    return folder / BUILD_FOLDER / f"copies-{track}.json"


def _unchanged_copies(job: CopyJob) -> list[Row] | None:
    """Updated rows of an earlier build's copies; None if missing, damaged or made differently."""
    path = copies_record_path(job.folder, job.track.id)
    if not path.is_file():
        return None
    try:
        key, rows = read_json(path, tuple[str, list[dict[str, Any]]])
    except InputError:  # damaged: the copies are made again
        return None
    images = {job.folder / "train" / f"{row['id']}.png": row["sha256"] for row in rows}
    unchanged = key == job.content_key and all(
        image.is_file() and sha256_file(image) == sha256 for image, sha256 in images.items()
    )
    if not unchanged:
        return None
    parents = {row["id"]: row for row in job.rows}
    return [
        _row_with_current_parent(
            row, parents[row["parent"]], _augmentation_parameters(row), job.options.anchor
        )
        for row in rows
    ]
