"""What became of a track, remembered beside the dataset so that a build can go on later.

A record is written after its files, so what it lists is whole; it is believed only while every
file it lists still has the same hash.
"""

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt32

from dmm.files import sha256_file, whole_file, write_text

from ..layout import BUILD_FOLDER
from ..sources import Rejected, Track, text_sha256
from .options import BuildOptions

NO_KEY = ("stream", "midi")
"""Fields of a track that say how to get at it, not what it is."""


@dataclass(frozen=True)
class ClipFacts:
    """One clip as it was cut; everything measured, nothing decided."""

    id: str
    start_s: float
    gain_db: float
    quality: dict[str, float | None]
    """As ``dataset_tools.quality.Quality`` has it; None for what is infinite."""
    vocal_window: float | None
    """The classifier's probability of a voice; None where none listened."""
    sha256: str
    """Of the image."""
    pulse_s: float | None = None
    """From beat to beat; None where nothing repeats, or nothing is to be mixed in."""


@dataclass(frozen=True)
class Record:
    """A track that was cut."""

    key: str
    """Of everything but the place that decides the clips: see ``record_key``."""
    place: str
    """The folder its clips lie in, or ``out`` if it has been left out."""
    clips: list[ClipFacts]
    rejected: list[Rejected]
    files: dict[str, str]
    """File name in the place's folder to SHA-256."""
    left_out: list[str]
    """Ids of clips whose files have been removed again."""
    arrays_sha256: str | None
    """Of the fingerprints and embeddings, which lie beside the record; None without clips."""


def record_key(track: Track, options: BuildOptions) -> str:
    """Hash the track and the options: a new key means new clips."""
    facts = {name: value for name, value in vars(track).items() if name not in NO_KEY}
    measured = ["pulse_s"] if "mixup" in options.augment else []  # older records lack it
    return text_sha256(json.dumps([facts, options.resolved(), *measured], sort_keys=True))


def record_path(out: Path, track: str) -> Path:
    """Say where a track's record lies."""
    return out / BUILD_FOLDER / f"track-{track}.json"


def arrays_path(out: Path, track: str) -> Path:
    """Say where the fingerprints and embeddings of a track's clips lie."""
    return record_path(out, track).with_suffix(".npz")


def write_record(out: Path, track: str, record: Record) -> None:
    """Write the record; its files must be there."""
    write_text(record_path(out, track), json.dumps(asdict(record), indent=1) + "\n")


def read_record(out: Path, track: Track, key: str) -> Record | None:
    """Read the record if it was made with this key and every file it lists is still the same."""
    path = record_path(out, track.id)
    if not path.exists():
        return None
    values = json.loads(path.read_text("utf-8"))
    values["rejected"] = [Rejected(**r) for r in values["rejected"]]
    values["clips"] = [ClipFacts(**clip) for clip in values["clips"]]
    record = Record(**values)
    paths = {out / record.place / name: sha256 for name, sha256 in record.files.items()}
    if record.arrays_sha256:
        paths[arrays_path(out, track.id)] = record.arrays_sha256
    unchanged = record.key == key and all(
        path.is_file() and sha256_file(path) == sha256 for path, sha256 in paths.items()
    )
    return record if unchanged else None


def remove_records(out: Path, keep: Collection[str]) -> None:
    """Remove the records of tracks that are no longer among the input."""
    names = {record_path(out, track).stem for track in keep}
    for path in (out / BUILD_FOLDER).glob("track-*"):
        if path.stem not in names:
            path.unlink()


def can_follow(record: Record, place: str, left_out: Collection[str]) -> bool:
    """Whether files need only be moved or removed; else the track must be cut again."""
    if place == "out" or not record.clips:
        return True
    has_sound = "test" in (place, record.place)  # only test clips lie there with their sound
    return (
        record.place != "out"
        and (record.place == place or not has_sound)
        and set(record.left_out) <= set(left_out)
    )


def follow(out: Path, track: str, record: Record, place: str, left_out: Collection[str]) -> Record:
    """Move a track's files to their place and remove those left out; place ``out`` removes all."""
    if place == "out":
        left_out = [clip.id for clip in record.clips]
    if record.place == place and set(record.left_out) == set(left_out):
        return record
    kept: dict[str, str] = {}
    if place != "out":
        (out / place).mkdir(parents=True, exist_ok=True)
    for name, sha256 in record.files.items():
        path = out / record.place / name
        if Path(name).stem in left_out:
            path.unlink(missing_ok=True)
        else:
            os.replace(path, out / place / name)
            kept[name] = sha256
    followed = replace(record, place=place, files=kept, left_out=sorted(left_out))
    write_record(out, track, followed)
    return followed


def write_arrays(
    out: Path,
    track: str,
    prints: Sequence[UInt32[np.ndarray, " frames"]],
    embeddings: Sequence[Float[np.ndarray, " dim"]],
) -> str | None:
    """Write what is too much for JSON, a row a clip; returns the file's hash, None for no clips."""
    if not prints:
        return None
    path = arrays_path(out, track)
    with whole_file(path) as partial:
        np.savez(partial, prints=np.stack(prints), embeddings=np.array(embeddings, np.float32))
    return sha256_file(path)


def read_arrays(out: Path, track: str) -> dict[str, np.ndarray]:
    """Read ``prints`` (clips, frames) and ``embeddings`` (clips, dim) or (0)."""
    with np.load(arrays_path(out, track)) as arrays:
        return dict(arrays)
