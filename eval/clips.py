"""List the clips of folders and datasets, and embed them: skip unreadable ones, cache the rest."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.embedders import Embedder
from dmm.errors import InputError
from dmm.files import sha256_file
from dmm.generation.clip_files import without_variations
from dmm.progress import progress_bar
from dmm.sound.decoding import AUDIO_SUFFIXES
from dmm.workers import map_in_order

from .clip_audio import content_key
from .embedding_cache import is_unit_row, read_cached_row, write_cached_row
from .metrics.kad import bandwidth

BATCH = 8
"""Files per call of the embedder: more are slower on a CPU and take more memory."""
_Result = np.ndarray | InputError


@dataclass(frozen=True)
class EmbeddedClips:
    """Embeddings of the readable clips of a set, and the reasons why others were skipped."""

    files: list[Path]
    sha256: list[str]
    rows: Float[np.ndarray, "n dim"]
    skipped: list[str]
    """One line for each skipped file: its path and the reason."""

    def __len__(self) -> int:
        return len(self.files)


def audio_files(folder: Path) -> list[Path]:
    """Audio files below a folder, hidden ones excepted, sorted; InputError if there are none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a folder of audio files")
    visible = (p for p in folder.rglob("*") if not _is_hidden(p.relative_to(folder)))
    found = sorted(p for p in visible if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    if not found:
        if any(folder.glob("*.png")):
            raise InputError(
                f"{folder}: holds images but no audio; decode them: "
                f"dmm decode {folder}/*.png --out SOUNDS"
            )
        kinds = " ".join(sorted(AUDIO_SUFFIXES))
        raise InputError(f"{folder}: holds no audio; put clips there ({kinds})")
    return found


def _is_hidden(path: Path) -> bool:
    """Whether a file or one of its folders is hidden, as clips deleted in dmm ui are."""
    return any(part.startswith(".") for part in path.parts)


def files_without_variations(folder: Path) -> list[Path]:
    """Files of ``audio_of_test_split`` but variations of other clips, counted on stderr."""
    files = audio_of_test_split(folder)
    kept = without_variations(files)
    if left_out := len(files) - len(kept):
        print(
            f"note: {left_out} variations of other clips in {folder} are left out; put them into a "
            "folder of their own to score them",
            file=sys.stderr,
        )
    return kept


def audio_of_test_split(dataset: Path) -> list[Path]:
    """Audio files of a DATASET's test split, or all of another folder; InputError without any."""
    if not (dataset / "manifest.parquet").is_file():
        return audio_files(dataset)
    test = dataset / "test"
    found = sorted(test.glob("*.flac"))
    if not found:
        raise InputError(
            f"{test}: the dataset's test split holds no audio; build the dataset with a larger "
            "test share, or name a folder of real clips that were not used for training"
        )
    return found


def training_images_or_audio(train: Path) -> list[Path]:
    """Mel images of a DATASET's train and reg splits, or all audio files of another folder.

    InputError if there are none.
    """
    if not (train / "manifest.parquet").is_file():
        return audio_files(train)
    found = [path for split in ("train", "reg") for path in sorted((train / split).glob("*.png"))]
    if not found:
        raise InputError(f"{train}: the dataset has no training clips; build it again")
    return found


def clip_id(path: Path, folder: Path) -> str:
    """The clip's name in results: its path below ``folder``, without the suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()


def embed_files(
    files: Sequence[Path], embedder: Embedder, minimum: int = 2, ray_address: str | None = None
) -> EmbeddedClips:
    """Embed files in order, using the cache; progress and skipped files go to stderr.

    Files with equal content (``content_key``) are embedded once. ``ray_address`` is a cluster's,
    for ``map_in_order``; it does not change the rows. Unreadable files are skipped; InputError if
    fewer than ``minimum`` remain.
    """
    hashes = {path: _hash_or_error(path) for path in files}
    results = _row_or_error_by_path(hashes, embedder, ray_address)
    readable = [path for path in files if not isinstance(results[path], InputError)]
    skipped = [str(x) for x in map(results.__getitem__, files) if isinstance(x, InputError)]
    for line in skipped:
        print(f"skipped {line}", file=sys.stderr)
    if len(readable) < minimum:
        remedy = "replace the skipped files" if skipped else "make or add more"
        where = f"{files[0].parent}: " if files else ""
        raise InputError(
            f"{where}{len(readable)} of {len(files)} clips can be read, and scores need {minimum} "
            f"or more; {remedy}"
        )
    rows = np.stack([np.asarray(results[path]) for path in readable])
    return EmbeddedClips(readable, [str(hashes[path]) for path in readable], rows, skipped)


def embed_reference(
    dataset: Path, embedder: Embedder, ray_address: str | None = None
) -> EmbeddedClips:
    """Embed the clips of ``audio_of_test_split``; InputError if most pairs of them are equal."""
    real = embed_files(audio_of_test_split(dataset), embedder, ray_address=ray_address)
    try:
        bandwidth(real.rows)
    except ValueError as error:
        raise InputError(f"{dataset}: {error}; remove copies and silent files") from error
    return real


def _hash_or_error(path: Path) -> str | InputError:
    """SHA-256 of a file, or an error if it cannot be read."""
    try:
        return sha256_file(path)
    except OSError as error:
        return InputError(f"{path}: cannot be read ({error.strerror})")


def _row_or_error_by_path(
    hashes: dict[Path, str | InputError], embedder: Embedder, ray_address: str | None
) -> dict[Path, _Result]:
    """The embedding of each path, or an error that names it."""
    keys = {p: content_key(p, sha) for p, sha in hashes.items() if isinstance(sha, str)}
    first: dict[str, Path] = {}
    for path, key in keys.items():
        first.setdefault(key, path)
    by_key = _row_or_error_by_key(first, embedder, ray_address)
    results: dict[Path, _Result] = {p: e for p, e in hashes.items() if isinstance(e, InputError)}
    for path, key in keys.items():
        found, embedded = by_key[key], str(first[key].absolute())
        is_error = isinstance(found, InputError)
        results[path] = InputError(str(found).replace(embedded, str(path))) if is_error else found
    return results


def _row_or_error_by_key(
    by_key: dict[str, Path], embedder: Embedder, ray_address: str | None
) -> dict[str, _Result]:
    """The embedding of each key, from the cache or by the embedder, or an error."""
    cached = {key: read_cached_row(key, embedder) for key in by_key}
    found: dict[str, _Result] = {key: row for key, row in cached.items() if row is not None}
    new = [key for key in by_key if key not in found]
    groups = [new[start : start + BATCH] for start in range(0, len(new), BATCH)]
    jobs = ([by_key[key].absolute() for key in group] for group in groups)
    with progress_bar(f"embedding with {embedder.name}", len(by_key)) as advance:
        advance(len(found))
        work = partial(_rows_or_errors, embedder)
        for group, results in zip(groups, map_in_order(work, jobs, 1, ray_address), strict=True):
            for key, result in zip(group, results, strict=True):
                if not isinstance(result, InputError):
                    write_cached_row(key, embedder, result)
                found[key] = result
            advance(len(group))
    return found


def _rows_or_errors(embedder: Embedder, files: Sequence[Path]) -> list[_Result]:
    """Embed all files at once; if that fails, one by one, to find the unreadable ones."""
    try:
        rows = embedder.embed(files)
    except InputError as error:
        if len(files) == 1:
            return [error]
        return [_rows_or_errors(embedder, [path])[0] for path in files]
    return [_row_or_error(row, path, embedder.dim) for row, path in zip(rows, files, strict=True)]


def _row_or_error(row: np.ndarray, path: Path, dim: int) -> _Result:
    """The row as float32, or an error if it is not a finite unit vector."""
    if is_unit_row(row, dim):
        return row.astype(np.float32)
    return InputError(f"{path}: gives no finite embedding; its samples may be damaged")
