"""Run all checks on a dataset: ``dmm data check DATASET``.

The checks, and the reasons for them, are in ``checks/`` and ``leaks.py``. Near-duplicates by sound
are looked for only when the dataset is built.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from dmm.errors import InputError

from ..checks.captions import check_caption, check_metadata
from ..checks.config import check_config
from ..checks.files import check_clip_files, check_folders
from ..checks.manifest import check_manifest
from ..checks.voices import check_voices
from ..dataset import Dataset, read_built, read_dataset, read_manifest
from ..fairness import fairness_warnings
from ..finding import REBUILD, Finding
from ..layout import BUILD_FOLDER
from ..leaks import find_leaks


def check_dataset(folder: Path, advance: Callable[[int], None] | None = None) -> list[Finding]:
    """Check a dataset and list its faults; InputError if ``folder`` is no dataset.

    ``advance(1)`` is called after every clip. If the manifest is faulty, only its faults
    are returned.
    """
    if not any(
        (folder / name).exists() for name in ("dataset.json", "manifest.parquet", BUILD_FOLDER)
    ):
        raise InputError(f"{folder} is no dataset; make one with `dmm data build --out {folder}`")
    try:
        built, fmt = read_built(folder)
        rows, wrong = read_manifest(folder)
    except InputError as error:
        what, _, remedy = str(error).partition("; ")
        return [Finding("dataset", folder.name, what, remedy or REBUILD)]
    if wrong:
        return [Finding("manifest", "manifest.parquet", what, REBUILD) for what in wrong]
    faults = list(check_manifest(built, rows))
    if any(finding.kind == "manifest" for finding in faults):
        return faults
    return faults + list(_findings_of_all_checks(Dataset(folder, built, fmt, rows), advance))


def dataset_warnings(folder: Path) -> list[str]:
    """Reasons to expect bad training or scores of a dataset without faults."""
    dataset = read_dataset(folder)
    return fairness_warnings(dataset.rows, dataset.built["options"])


def count_clips(folder: Path) -> int:
    """Number of clips in the manifest, for a progress bar; 0 if the manifest cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(folder / "manifest.parquet").num_rows
    except (pa.ArrowException, OSError):
        return 0


def _findings_of_all_checks(
    dataset: Dataset, advance: Callable[[int], None] | None
) -> Iterator[Finding]:
    """Yield the findings of all checks but the manifest's; calls ``advance(1)`` after each clip."""
    yield from check_config(dataset)
    yield from find_leaks(dataset.rows, dataset.built.get("splits_grouped_by", "artist"))
    yield from check_folders(dataset.folder, dataset.rows)
    yield from check_metadata(dataset, dataset.rows)
    yield from check_voices(dataset)
    for row in dataset.rows:
        yield from check_clip_files(dataset, row)
        yield from check_caption(dataset, row)
        if advance:
            advance(1)
