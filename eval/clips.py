"""A folder of clips to embeddings: find the sound, skip what cannot be read, embed what is new."""

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
from dmm.progress import progress_bar
from dmm.workers import map_in_order

from .embedding_cache import cached_row, is_direction, keep_row
from .metrics.kad import bandwidth
from .sound import content_key

AUDIO_SUFFIXES = {".aif", ".aiff", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"}
BATCH = 8
"""Files per call: more is slower on a CPU and takes more memory."""
_Result = np.ndarray | InputError


@dataclass(frozen=True)
class EmbeddedClips:
    """One set of clips that could be read, with what could not."""

    files: list[Path]
    sha256: list[str]
    rows: Float[np.ndarray, "n dim"]
    skipped: list[str]
    """One line for each file left out: its path and why."""

    def __len__(self) -> int:
        return len(self.files)


def audio_files(folder: Path) -> list[Path]:
    """The folder's audio files at any depth, by path; InputError, which tells images, if none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a folder of audio files")
    visible = (p for p in folder.rglob("*") if not p.name.startswith("."))
    found = sorted(p for p in visible if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    if not found:
        if any(folder.glob("*.png")):
            raise InputError(
                f"{folder}: holds images but no sound; make sound of them: "
                f"dmm decode {folder}/*.png --out SOUNDS"
            )
        kinds = " ".join(sorted(AUDIO_SUFFIXES))
        raise InputError(f"{folder}: holds no audio; put clips there ({kinds})")
    return found


def reference_files(dataset: Path) -> list[Path]:
    """The test split's audio of a DATASET folder, or all audio of any other folder."""
    if not (dataset / "manifest.parquet").is_file():
        return audio_files(dataset)
    test = dataset / "test"
    found = sorted(test.glob("*.flac"))
    if not found:
        raise InputError(
            f"{test}: the dataset's test split holds no audio; build the dataset with a larger "
            "test share, or name a folder of real clips that were not trained on"
        )
    return found


def training_files(train: Path) -> list[Path]:
    """All that a DATASET trains on, as mel images, or all sound of any other folder."""
    if not (train / "manifest.parquet").is_file():
        return audio_files(train)
    found = [path for split in ("train", "reg") for path in sorted((train / split).glob("*.png"))]
    if not found:
        raise InputError(f"{train}: the dataset has no training clips; build it again")
    return found


def clip_id(path: Path, folder: Path) -> str:
    """How a clip is called in results: its path below ``folder``, without the suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()


def embed_files(
    files: Sequence[Path], embedder: Embedder, minimum: int = 2, ray: str | None = None
) -> EmbeddedClips:
    """Embed files in their order, taking known ones from the cache, with a bar on stderr.

    The same bytes under several names are embedded once. ``ray`` is a cluster's address, as
    ``map_in_order`` takes it: the rows are the same. A file that cannot be read is reported in a
    line, counted and left out; InputError if fewer than ``minimum`` are left.
    """
    hashes = {path: _hash(path) for path in files}
    results = _results(hashes, embedder, ray)
    kept = [path for path in files if not isinstance(results[path], InputError)]
    skipped = [str(x) for x in map(results.__getitem__, files) if isinstance(x, InputError)]
    for line in skipped:
        print(f"skipped {line}", file=sys.stderr)
    if len(kept) < minimum:
        remedy = "replace the skipped files" if skipped else "make or add more"
        raise InputError(
            f"{files[0].parent}: {len(kept)} of {len(files)} clips can be read, and scores need "
            f"{minimum} or more; {remedy}"
        )
    rows = np.stack([np.asarray(results[path]) for path in kept])
    return EmbeddedClips(kept, [str(hashes[path]) for path in kept], rows, skipped)


def embed_reference(dataset: Path, embedder: Embedder, ray: str | None = None) -> EmbeddedClips:
    """Embed the real clips of ``reference_files``; InputError if most of them are one sound."""
    real = embed_files(reference_files(dataset), embedder, ray=ray)
    try:
        bandwidth(real.rows)
    except ValueError as error:
        raise InputError(f"{dataset}: {error}; remove copies and silent files") from error
    return real


def _hash(path: Path) -> str | InputError:
    try:
        return sha256_file(path)
    except OSError as error:
        return InputError(f"{path}: cannot be read ({error.strerror})")


def _results(
    hashes: dict[Path, str | InputError], embedder: Embedder, ray: str | None
) -> dict[Path, _Result]:
    """Each path's row, or the error that kept it from having one and that names it."""
    keys = {p: content_key(p, sha) for p, sha in hashes.items() if isinstance(sha, str)}
    first: dict[str, Path] = {}
    for path, key in keys.items():
        first.setdefault(key, path)
    by_key = _embed(first, embedder, ray)
    results: dict[Path, _Result] = {p: e for p, e in hashes.items() if isinstance(e, InputError)}
    for path, key in keys.items():
        found, read = by_key[key], str(first[key].absolute())
        is_error = isinstance(found, InputError)
        results[path] = InputError(str(found).replace(read, str(path))) if is_error else found
    return results


def _embed(by_key: dict[str, Path], embedder: Embedder, ray: str | None) -> dict[str, _Result]:
    """A row, or what kept it from being one, for every key, from the cache where it is known."""
    known = {key: cached_row(key, embedder) for key in by_key}
    found: dict[str, _Result] = {key: row for key, row in known.items() if row is not None}
    new = [key for key in by_key if key not in found]
    groups = [new[start : start + BATCH] for start in range(0, len(new), BATCH)]
    jobs = ([by_key[key].absolute() for key in group] for group in groups)
    with progress_bar(f"embedding with {embedder.name}", len(by_key)) as advance:
        advance(len(found))
        work = partial(_rows_or_errors, embedder)
        for group, results in zip(groups, map_in_order(work, jobs, 1, ray), strict=True):
            for key, result in zip(group, results, strict=True):
                if not isinstance(result, InputError):
                    keep_row(key, embedder, result)
                found[key] = result
            advance(len(group))
    return found


def _rows_or_errors(embedder: Embedder, files: Sequence[Path]) -> list[_Result]:
    """Embed all at once; if that fails, one by one, to find out which files are at fault."""
    try:
        rows = embedder.embed(files)
    except InputError as error:
        if len(files) == 1:
            return [error]
        return [_rows_or_errors(embedder, [path])[0] for path in files]
    return [_checked(row, path, embedder.dim) for row, path in zip(rows, files, strict=True)]


def _checked(row: np.ndarray, path: Path, dim: int) -> _Result:
    """The row, unless the sound led to something that is no direction."""
    if is_direction(row, dim):
        return row.astype(np.float32)
    return InputError(f"{path}: gives no finite embedding; its samples may be damaged")
