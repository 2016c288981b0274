"""A folder of clips to embeddings: find the audio, skip what cannot be read, cache the rest."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.embedders import Embedder
from dmm.errors import InputError
from dmm.files import sha256_file, whole_file
from dmm.progress import progress_bar
from dmm.tokenizers import cache_root

from .kad import bandwidth

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
    """The folder's audio files at any depth, by path; InputError if there is none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a folder of audio files")
    visible = (p for p in folder.rglob("*") if not p.name.startswith("."))
    found = sorted(p for p in visible if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    if not found:
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


def clip_id(path: Path, folder: Path) -> str:
    """How a clip is called in results: its path below ``folder``, without the suffix."""
    return path.relative_to(folder).with_suffix("").as_posix()


def embed_files(files: Sequence[Path], embedder: Embedder, minimum: int = 2) -> EmbeddedClips:
    """Embed files in their order, taking known ones from the cache, with a bar on stderr.

    A file that cannot be read is reported in a line, counted and left out; InputError if fewer
    than ``minimum`` are left.
    """
    kept, hashes, rows, skipped = [], [], [], []
    with progress_bar(f"embedding with {embedder.name}", len(files)) as advance:
        for start in range(0, len(files), BATCH):
            for path, sha256, result in _embed_batch(files[start : start + BATCH], embedder):
                if isinstance(result, InputError):
                    skipped.append(str(result))
                else:
                    kept.append(path)
                    hashes.append(sha256)
                    rows.append(result)
                advance()
    for line in skipped:
        print(f"skipped {line}", file=sys.stderr)
    if len(kept) < minimum:
        remedy = "replace the skipped files" if skipped else "make or add more"
        raise InputError(
            f"{files[0].parent}: {len(kept)} of {len(files)} clips can be read, and scores need "
            f"{minimum} or more; {remedy}"
        )
    return EmbeddedClips(kept, hashes, np.stack(rows), skipped)


def embed_reference(dataset: Path, embedder: Embedder) -> EmbeddedClips:
    """Embed the real clips of ``reference_files``; InputError if most of them are one sound."""
    real = embed_files(reference_files(dataset), embedder)
    try:
        bandwidth(real.rows)
    except ValueError as error:
        raise InputError(f"{dataset}: {error}; remove copies and silent files") from error
    return real


def _embed_batch(batch: Sequence[Path], embedder: Embedder) -> Iterator[tuple[Path, str, _Result]]:
    """Each file's hash and row, or the error that kept it from having one, in order."""
    hashes = {path: sha256_file(path) for path in batch}
    cached = {path: _cache_path(hashes[path], embedder) for path in batch}
    missing = [path for path in batch if not cached[path].is_file()]
    fresh = dict(zip(missing, _rows_or_errors(missing, embedder), strict=True))
    for path in batch:
        result = fresh[path] if path in fresh else np.load(cached[path])
        if path in fresh and not isinstance(result, InputError):
            _save(cached[path], result)
        yield path, hashes[path], result


def _rows_or_errors(files: Sequence[Path], embedder: Embedder) -> list[_Result]:
    """Embed all at once; if that fails, one by one, to find out which files are at fault."""
    if not files:
        return []
    try:
        rows = embedder.embed(files)
    except InputError as error:
        if len(files) == 1:
            return [error]
        return [_rows_or_errors([path], embedder)[0] for path in files]
    return [_checked(row, path) for row, path in zip(rows, files, strict=True)]


def _checked(row: np.ndarray, path: Path) -> _Result:
    """The row, unless the sound led to something that is no direction (NaN samples do)."""
    if np.isfinite(row).all() and abs(np.linalg.norm(row) - 1) < 1e-3:
        return row.astype(np.float32)
    return InputError(f"{path}: gives no finite embedding; its samples may be damaged")


def _cache_path(sha256: str, embedder: Embedder) -> Path:
    folder = cache_root() / "embeddings" / f"{embedder.name}-{embedder.version}"
    return folder / sha256[:2] / f"{sha256}.npy"


def _save(path: Path, row: np.ndarray) -> None:
    with whole_file(path) as partial:
        np.save(partial, row)
