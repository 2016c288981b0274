"""One track to its clips' files and a record of them: the part that worker processes run."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dmm.audio import loudness_lufs, write_audio
from dmm.errors import InputError
from dmm.files import sha256_file, whole_file, write_text
from dmm.mel import encode, load_format
from dmm.melimage import write_image

from .captions import clean
from .options import MARK, BuildOptions
from .slicing import SILENCE_DB, fit_to_clip, level_db, spread, window_starts
from .sources import Rejected, Track, text_sha256
from .splits import Split


@dataclass(frozen=True)
class Job:
    """A track to cut, and where its clips go."""

    track: Track
    split: Split
    options: BuildOptions
    out: Path


@dataclass(frozen=True)
class Record:
    """What became of a track; written after its clips, so what it lists is whole."""

    key: str
    """Of everything but the split that decides the clips: see ``record_key``."""
    split: Split
    rows: list[dict[str, Any]]
    """Manifest rows."""
    rejected: list[Rejected]
    files: dict[str, str]
    """Path below the dataset to SHA-256."""


def record_key(track: Track, options: BuildOptions) -> str:
    """Hash the track and the options: a new key means new clips."""
    facts = {name: value for name, value in vars(track).items() if name not in ("load", "midi")}
    return text_sha256(json.dumps([facts, options.resolved()], sort_keys=True))


def cut_track(job: Job) -> Record:
    """Write a track's clips and its record; what cannot be used is in ``Record.rejected``."""
    rows: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    files: dict[str, str] = {}
    fmt = load_format(job.options.format)
    try:
        audio = job.track.load(fmt.sr, 2 if job.options.stereo else 1)
        audio = fit_to_clip(audio, fmt.clip_samples, fmt.sr, pad=job.options.pad)
    except InputError as error:
        rejected.append(Rejected(job.track.input, str(error)))
    else:
        windows, rejected = _sounding_windows(audio, job)
        for index, start in windows:
            clip_id = f"{job.track.id}-{index:04d}"
            clip = audio[:, start : start + fmt.clip_samples]
            written = _write_clip(job, clip_id, clip)
            files |= written
            rows.append(_row(job, clip_id, start / fmt.sr, clip, written))
    record = Record(record_key(job.track, job.options), job.split, rows, rejected, files)
    write_text(record_path(job.out, job.track.id), json.dumps(asdict(record), indent=1) + "\n")
    return record


def _sounding_windows(
    audio: Float[np.ndarray, "channels samples"], job: Job
) -> tuple[list[tuple[int, int]], list[Rejected]]:
    """List (number, first sample) of the windows to keep, and the silent ones."""
    fmt, options = load_format(job.options.format), job.options
    hop = fmt.clip_samples if options.hop_s is None else round(options.hop_s * fmt.sr)
    starts = window_starts(audio.shape[1], fmt.clip_samples, hop)
    levels = [level_db(audio[:, start : start + fmt.clip_samples]) for start in starts]
    silent = [
        Rejected(job.track.input, _silence_reason(level), round(start / fmt.sr, 3))
        for start, level in zip(starts, levels, strict=True)
        if level < SILENCE_DB
    ]
    sounding = [i for i, level in enumerate(levels) if level >= SILENCE_DB]
    return [(i, starts[i]) for i in spread(sounding, options.max_clips_per_track)], silent


def _silence_reason(level: float) -> str:
    return f"silent: {level:.1f} dBFS RMS, below {SILENCE_DB:.0f}"


def _write_clip(
    job: Job, clip_id: str, clip: Float[np.ndarray, "channels samples"]
) -> dict[str, str]:
    """Write image, caption, for the test split the sound, if asked the score; path to SHA-256."""
    fmt = load_format(job.options.format)
    image, text, sound = (job.out / job.split / f"{clip_id}.{x}" for x in ("png", "txt", "flac"))
    write_image(image, encode(clip, fmt), fmt)
    write_text(text, clean(job.track.caption)[0] + "\n")
    written = [image, text]
    if job.split == "test":
        write_audio(sound, clip, fmt.sr)
        written.append(sound)
    if job.options.midi and job.track.midi:
        score = image.with_suffix(".mid")
        with whole_file(score) as partial:
            partial.write_bytes(job.track.midi())
        written.append(score)
    return {path.relative_to(job.out).as_posix(): sha256_file(path) for path in written}


def _row(
    job: Job,
    clip_id: str,
    start_s: float,
    clip: Float[np.ndarray, "channels samples"],
    files: dict[str, str],
) -> dict[str, Any]:
    track = job.track
    caption, changes = clean(track.caption)
    loudness = loudness_lufs(clip, load_format(job.options.format).sr)
    return {
        "id": clip_id,
        "source": track.source,
        "track": track.id,
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "start_s": start_s,
        "split": job.split,
        "caption_raw": track.caption,
        "caption": caption,
        "caption_origin": track.caption_origin,
        "caption_changes": changes,
        "licence": track.licence,
        "loudness_lufs": float(loudness) if np.isfinite(loudness) else None,
        "vocal_probability": None,
        "sha256": files[f"{job.split}/{clip_id}.png"],
        "track_sha256": track.sha256,
        "truth": None if track.truth is None else json.dumps(track.truth, sort_keys=True),
    }


def record_path(out: Path, track: str) -> Path:
    """Say where a track's record lies."""
    return out / MARK / f"track-{track}.json"


def remove_records(out: Path, keep: Collection[str]) -> None:
    """Remove the records of tracks that are no longer among the input."""
    names = {record_path(out, track).name for track in keep}
    for path in (out / MARK).glob("track-*.json"):
        if path.name not in names:
            path.unlink()


def read_record(out: Path, track: Track, key: str) -> Record | None:
    """Read the record if it was made with this key and every file it lists is still the same."""
    path = record_path(out, track.id)
    if not path.exists():
        return None
    values = json.loads(path.read_text("utf-8"))
    record = Record(**values | {"rejected": [Rejected(**r) for r in values["rejected"]]})
    unchanged = record.key == key and all(
        (out / name).is_file() and sha256_file(out / name) == sha256
        for name, sha256 in record.files.items()
    )
    return record if unchanged else None
