"""What decides the bytes of a dataset, and the folder that remembers it.

A folder built with other options is refused rather than mixed: half its clips would be cut or
drawn differently. How many tracks there are is no option: a dataset may grow.
"""

import json
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dmm.errors import InputError
from dmm.files import write_text
from dmm.mel import load_format

from .captions import DEFAULT_ANCHOR, check_anchor
from .splits import SPLITS

MARK = ".dmm-build"
"""Holds ``options.json`` and a record for every track, so that a build can go on later."""
OUR_FILES = re.compile(r"[a-z0-9-]+-[0-9a-f]{10}-\d{4}(_.+\.npz|\.png|\.txt|\.flac|\.mid)")
"""A clip's files, and the latents that sd-scripts caches beside them."""
PARTIAL_FILES = re.compile(r"\..+\.part(\..+)?")
"""What ``dmm.files.whole_file`` leaves behind when the process is killed."""


@dataclass(frozen=True)
class BuildOptions:
    """All that decides what is built from given tracks; InputError for values that cannot hold."""

    source: str = "folder"
    format: str = "sdxl-512"
    hop_s: float | None = None
    """From one window to the next; None for one clip length, so that windows tile."""
    stereo: bool = False
    anchor: str = DEFAULT_ANCHOR
    pad: bool = False
    """Extend tracks shorter than one clip with silence instead of refusing them."""
    max_clips_per_track: int | None = None
    """Keep at most so many windows of a track, evenly spread."""
    seed: int = 0
    """Decides the splits, and what generators make."""
    val: float = 0.1
    test: float = 0.1
    """Shares of the groups of tracks; the rest is for training."""
    styles: tuple[str, ...] = ()
    licence: str | None = None
    instruments: tuple[str, ...] = ()
    """Instruments that play in every MiniMIDI piece."""
    unseen: bool = False
    """MiniMIDI composes for the pairs of instruments that are kept for testing, no others."""
    soundfont: Path | None = None
    """SoundFont that plays MiniMIDI's pieces; what counts is its content, not its name."""
    midi: bool = False
    """Write every MiniMIDI piece as a MIDI file beside its image."""

    def __post_init__(self) -> None:
        check_anchor(self.anchor)
        asked = [
            name for name in ("instruments", "unseen", "soundfont", "midi") if getattr(self, name)
        ]
        if asked and self.source != "minimidi":
            raise InputError(f"--{asked[0]} is for --source minimidi, not for {self.source!r}")
        if min(self.val, self.test) < 0 or self.val + self.test > 1:
            raise InputError(
                f"val {self.val} and test {self.test} must be 0 or more, at most 1 in all"
            )
        if self.hop_s is not None and self.hop_s * load_format(self.format).sr < 1:
            raise InputError(f"a hop of {self.hop_s} s is less than one sample; use a larger --hop")

    @cached_property
    def soundfont_sha256(self) -> str | None:
        """Hash of the SoundFont, or InputError if it cannot be played here."""
        from .sources.minimidi.soundfont import check_soundfont

        return check_soundfont(self.soundfont) if self.soundfont else None

    def resolved(self) -> dict[str, Any]:
        """As JSON values, the mel format written out in full and the SoundFont as its hash."""
        values = asdict(self) | {"soundfont": self.soundfont_sha256}
        return json.loads(json.dumps(values)) | {"format": load_format(self.format).model_dump()}


def claim_folder(out: Path, options: BuildOptions, *, force: bool) -> None:
    """Make ``out`` ours to build in, or raise InputError naming the way out.

    ``force`` throws away what an earlier build left there; a folder that holds anything else and
    no dataset of ours is refused all the same.
    """
    recorded = out / MARK / "options.json"
    if out.exists() and (not out.is_dir() or any(p.name != MARK for p in out.iterdir())):
        if not recorded.exists():
            raise InputError(f"{out} is in use and no dataset of ours; name another folder (--out)")
        if not force:
            _refuse_changes(out, json.loads(recorded.read_text("utf-8")), options.resolved())
    if force:
        discard(out)
    write_text(recorded, json.dumps(options.resolved(), indent=1) + "\n")


def _refuse_changes(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    old = BuildOptions().resolved() | old  # built before some of the options were there
    changed = [name for name in new if old[name] != new[name]]
    if changed:
        name = changed[0]
        before, now = (
            (x.get("name") if isinstance(x, dict) else x) for x in (old[name], new[name])
        )
        raise InputError(
            f"{out} was built with {name} {before!r}, now it is {now!r}; "
            "build in another folder, or --force to throw that dataset away"
        )


def discard(out: Path) -> None:
    """Remove what earlier builds wrote to ``out``, and nothing else."""
    remove_strays(out, keep=set())
    (out / "dataset.json").unlink(missing_ok=True)
    for path in sorted((out / MARK).glob("*")):
        path.unlink()


def remove_strays(out: Path, keep: set[str]) -> None:
    """Remove clips' files whose clip id is not in ``keep``, and files left half-written.

    sd-scripts trains on every image in a folder, so what is no longer in the manifest must go;
    files that do not bear a clip's name are left alone.
    """
    for folder in [out, out / MARK, *(out / split for split in SPLITS)]:
        for path in folder.iterdir() if folder.is_dir() else ():
            if PARTIAL_FILES.fullmatch(path.name):
                path.unlink()
            elif OUR_FILES.fullmatch(path.name):
                clip = re.match(r"[^_.]+", path.name)
                if clip and f"{folder.name}/{clip[0]}" not in keep:
                    path.unlink()
