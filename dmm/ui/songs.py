"""Timelines joined into one piece, in the folder ``songs`` of a CLIPS folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
from PIL import Image

from ..codec.image import read_image
from ..errors import InputError
from ..generation.requests import slug
from ..pages import coloured_png
from ..progress import told_to
from ..songs.stitch import Joining, stitch
from .clips import ID, ClipsFolder
from .jobs import Job, Jobs
from .orders import SongOrder

FOLDER = "songs"
SOUNDS = (".flac", ".wav", ".mp3")
WIDEST = 2400
"""Columns of a picture on the page."""


@dataclass(frozen=True)
class Songs:
    """What was exported from the clips of a folder; InputError for what was not."""

    clips: ClipsFolder
    jobs: Jobs

    def newest(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest songs: file name, seconds, and a number that changes when made anew."""
        files = [path for path in self._folder.glob("*.*") if self._is_song(path.name)]
        files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return [
            {
                "name": path.name,
                "duration_s": soundfile.info(path).duration,
                "made": path.stat().st_mtime_ns // 1_000_000,
            }
            for path in files[:limit]
        ]

    def file(self, name: str) -> Path:
        """The sound."""
        if not self._is_song(name):
            raise InputError(f"{name}: no such song in {self._folder}")
        return self._folder / name

    def picture(self, name: str) -> bytes:
        """The mel image in our colours, as PNG, no wider than a screen."""
        levels, _ = read_image(self.file(name).with_suffix(".png"))
        picture = Image.fromarray(levels if levels.ndim == 2 else levels[..., 0])
        if picture.width > WIDEST:
            picture = picture.resize((WIDEST, picture.height), Image.Resampling.BOX)
        return coloured_png(picture)

    def start(self, order: SongOrder) -> None:
        """Join the clips in the background; Busy or InputError if that cannot begin."""
        if not order.clips:
            raise InputError("the timeline is empty; add clips to it")
        pictures = [self.clips.file(clip_id, ".png") for clip_id in order.clips]
        out = self._free(slug(order.name), f".{order.type}")
        joining = Joining(order.overlap_s, order.align, loop=order.loop)
        self.jobs.start(Job("song", 1), lambda job: _join(job, pictures, out, joining))

    @property
    def _folder(self) -> Path:
        return self.clips.folder / FOLDER

    def _is_song(self, name: str) -> bool:
        """The files are asked for by name only once the name is no path."""
        path = self._folder / name
        return (
            bool(ID.fullmatch(name))
            and path.suffix in SOUNDS
            and all(file.is_file() for file in (path, path.with_suffix(".png")))
        )

    def _free(self, stem: str, suffix: str) -> Path:
        """A name that no song has: NAME, NAME-2, NAME-3 ..."""
        number, name = 1, stem
        while (self._folder / f"{name}.png").exists():
            number += 1
            name = f"{stem}-{number}"
        return self._folder / f"{name}{suffix}"


def _join(job: Job, pictures: list[Path], out: Path, joining: Joining) -> str:
    def tell(name: str, done: int, total: int) -> None:
        job.go_on(done / max(total, 1), f"{out.name}: {name}")

    job.go_on(note=f"{out.name}: join")
    with told_to(tell):
        stitch(pictures, out, joining)
    return out.name
