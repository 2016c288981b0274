"""Records of the tracks that have been cut, so that an interrupted build can continue.

A record is written after its files, so all files it lists are complete. It is valid only while
every one of them still has the same hash.
"""

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt32

from dmm.errors import InputError
from dmm.files import read_json, sha256_file, whole_file, write_text

from ..layout import BUILD_FOLDER, LEFT_OUT
from ..sources import Rejected, Track, text_sha256
from .options import BuildOptions

NOT_IN_KEY = ("stream", "midi")
"""Fields of a track that are functions to read it; they do not identify it."""


@dataclass(frozen=True)
class ClipFacts:
    """Measurements of one clip, made when it was cut."""

    id: str
    start_s: float
    gain_db: float
    quality: dict[str, float | None]
    """Fields of ``dataset_tools.quality.Quality``; None for infinite values."""
    vocal_window: float | None
    """The classifier's probability of a voice; None if no classifier was run."""
    sha256: str
    """Hash of the image."""
    sound: dict[str, Any] | None = None
    """Fields of ``dataset_tools.sound_facts.SoundFacts``; None without the option ``describe``."""
    attributes: dict[str, dict[str, float]] | None = None
    """Attribute to label to probability, by the classifiers of the embedder that describes; None
    without that option, and for embedders without classifiers."""
    pulse_s: float | None = None
    """Seconds from beat to beat; None without a steady beat, or without the augmentation mixup."""


@dataclass(frozen=True)
class TrackRecord:
    """A track that was cut: its clips, its refused windows, and the files written."""

    key: str
    """Hash of all that decides the clips (track and options, not the place): see ``record_key``."""
    place: str
    """The split whose folder holds the clips, or ``LEFT_OUT``."""
    clips: list[ClipFacts]
    rejected: list[Rejected]
    files: dict[str, str]
    """Name of each file in that folder, and its SHA-256."""
    left_out: list[str]
    """Ids of clips whose files were removed again."""
    arrays_sha256: str | None
    """Hash of the file with fingerprints and embeddings beside the record; None without clips."""


def record_key(track: Track, options: BuildOptions) -> str:
    """Hash the track and the options; tracks whose key has changed are cut again."""
    facts = {name: value for name, value in vars(track).items() if name not in NOT_IN_KEY}
    measured = ["pulse_s"] if "mixup" in options.augment else []  # older records lack it
    return text_sha256(json.dumps([facts, options.resolved_json(), *measured], sort_keys=True))


def record_path(folder: Path, track: str) -> Path:
    """Path of a track's record in the dataset folder."""
    return folder / BUILD_FOLDER / f"track-{track}.json"


def arrays_path(folder: Path, track: str) -> Path:
    """Path of the fingerprints and embeddings of a track's clips."""
    return record_path(folder, track).with_suffix(".npz")


def write_record(folder: Path, track: str, record: TrackRecord) -> None:
    """Write the record; the files it lists must exist already."""
    write_text(record_path(folder, track), json.dumps(asdict(record), indent=1) + "\n")


def read_valid_record(folder: Path, track: Track, key: str) -> TrackRecord | None:
    """Read a track's record; None if its key or any file it lists has changed."""
    path = record_path(folder, track.id)
    if not path.exists():
        return None
    try:
        record = read_json(path, TrackRecord)
    except InputError:  # damaged: the track is cut again
        return None
    paths = {folder / record.place / name: sha256 for name, sha256 in record.files.items()}
    if record.arrays_sha256:
        paths[arrays_path(folder, track.id)] = record.arrays_sha256
    unchanged = record.key == key and all(
        path.is_file() and sha256_file(path) == sha256 for path, sha256 in paths.items()
    )
    return record if unchanged else None


def recorded_tracks(folder: Path) -> set[str]:
    """Ids of all tracks that have a record, valid or not."""
    paths = (folder / BUILD_FOLDER).glob("track-*.json")
    return {path.stem.removeprefix("track-") for path in paths}


def remove_other_records(folder: Path, keep: Collection[str]) -> None:
    """Remove the records and arrays of all tracks but those in ``keep`` (track ids)."""
    names = {record_path(folder, track).stem for track in keep}
    for path in (folder / BUILD_FOLDER).glob("track-*"):
        if path.stem not in names:
            path.unlink()


def can_relocate(record: TrackRecord, place: str, left_out: Collection[str]) -> bool:
    """Whether ``relocate_clips`` is enough; otherwise the track must be cut again."""
    if place == LEFT_OUT or not record.clips:
        return True
    has_sound = "test" in (place, record.place)  # only test clips come with a sound file
    return (
        record.place != LEFT_OUT
        and (record.place == place or not has_sound)
        and set(record.left_out) <= set(left_out)
    )


def relocate_clips(
    folder: Path, track: str, record: TrackRecord, place: str, left_out: Collection[str]
) -> TrackRecord:
    """Move a track's files to the folder of a split; writes and returns its new record.

    Files of the clips in ``left_out`` are removed, all files if ``place`` is ``LEFT_OUT``.
    """
    if place == LEFT_OUT:
        left_out = [clip.id for clip in record.clips]
    if record.place == place and set(record.left_out) == set(left_out):
        return record
    kept: dict[str, str] = {}
    if place != LEFT_OUT:
        (folder / place).mkdir(parents=True, exist_ok=True)
    for name, sha256 in record.files.items():
        path = folder / record.place / name
        if Path(name).stem in left_out:
            path.unlink(missing_ok=True)
        else:
            os.replace(path, folder / place / name)
            kept[name] = sha256
    relocated = replace(record, place=place, files=kept, left_out=sorted(left_out))
    write_record(folder, track, relocated)
    return relocated


def write_arrays(
    folder: Path,
    track: str,
    fingerprints: Sequence[UInt32[np.ndarray, " frames"]],
    embeddings: Sequence[Float[np.ndarray, " dim"]],
) -> str | None:
    """Write fingerprints and embeddings, a row for each clip; returns the file's hash.

    None, and no file, if there are no clips.
    """
    if not fingerprints:
        return None
    path = arrays_path(folder, track)
    with whole_file(path) as partial:
        np.savez(
            partial, prints=np.stack(fingerprints), embeddings=np.array(embeddings, np.float32)
        )
    return sha256_file(path)


def read_arrays(folder: Path, track: str) -> dict[str, np.ndarray]:
    """Read ``prints`` (fingerprints: clips, frames) and ``embeddings`` (clips, dim), or (0,)."""
    with np.load(arrays_path(folder, track)) as arrays:
        return dict(arrays)
