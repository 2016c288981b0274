"""Prepare and tidy the folder that a dataset is built in.

A folder built with other options is refused: half of its clips would be cut or generated
differently. The tracks are no options, so a dataset may grow.
"""

import json
import re
from pathlib import Path
from typing import Any

from dmm.errors import InputError
from dmm.files import read_json, write_text
from dmm.files.locks import FOLDER_LOCK
from dmm.files.parts import NAME as PART_NAME

from ..layout import BUILD_FOLDER, SPLITS
from .clip_ids import CLIP_ID
from .options import BuildOptions, default_values

CLIP_FILES = re.compile(CLIP_ID + r"(_.+\.npz|\.png|\.txt|\.flac|\.mid)")
"""Names of a clip's files, and of the latents that sd-scripts caches beside them."""


def check_folder(out: Path, options: BuildOptions, *, force: bool) -> None:
    """Check that ``out`` may hold a build with these options; nothing is written.

    ``force`` allows the dataset of a build with other options. InputError if ``out`` holds one
    without ``force``, or anything else than a dataset, or if an option names a file that is
    missing.
    """
    resolved, recorded = options.resolved_json(), _recorded_options(out)
    own = (BUILD_FOLDER, FOLDER_LOCK)
    if out.exists() and any(p.name not in own for p in out.iterdir()):
        if not recorded.exists():
            raise InputError(f"{out} holds files but no dataset; name another folder (--out)")
        if not force:
            _refuse_changed_options(out, read_json(recorded), resolved)


def prepare_folder(out: Path, options: BuildOptions, *, force: bool) -> None:
    """Record the options in ``out``; ``force`` first discards the dataset of an earlier build."""
    if force:
        discard_earlier_build(out)
    write_text(_recorded_options(out), json.dumps(options.resolved_json(), indent=1) + "\n")


def _recorded_options(out: Path) -> Path:
    return out / BUILD_FOLDER / "options.json"


def _refuse_changed_options(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise InputError if an option differs from the earlier build's; names the first one."""
    defaults = default_values()  # options that did not exist, or were not used, are not recorded
    old, new = defaults | old, defaults | new
    changed = [name for name in new if old[name] != new[name]]
    if changed:
        name = changed[0]
        before, now = (
            (x.get("name") if isinstance(x, dict) else x) for x in (old[name], new[name])
        )
        raise InputError(
            f"{out} was built with {name} {before!r}, now it is {now!r}; "
            "build in another folder, or use --force to discard that dataset"
        )


def discard_earlier_build(out: Path) -> None:
    """Remove the clips and records of earlier builds from ``out``; other files stay."""
    remove_stray_files(out, keep=set())
    (out / "dataset.json").unlink(missing_ok=True)
    for path in sorted((out / BUILD_FOLDER).glob("*")):
        path.unlink()


def remove_stray_files(out: Path, keep: set[str]) -> None:
    """Remove files of clips that are not in ``keep`` (``SPLIT/ID``), and half-written files.

    sd-scripts trains on every image in a folder, so clips that left the manifest must be removed.
    Files that are not named like a clip stay.
    """
    for folder in [out, out / BUILD_FOLDER, *(out / split for split in SPLITS)]:
        for path in folder.iterdir() if folder.is_dir() else ():
            if PART_NAME.fullmatch(path.name) and path.is_file():
                path.unlink()
            elif CLIP_FILES.fullmatch(path.name):
                clip = re.match(r"[^_.]+", path.name)
                if clip and f"{folder.name}/{clip[0]}" not in keep:
                    path.unlink()
