"""Songs exported from the page's timeline, in the folder ``songs`` of a CLIPS folder."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ..codec.image import read_image
from ..errors import InputError
from ..generation.requests import slug
from ..pages import coloured_png
from ..progress import progress_to
from ..songs.stitch import StitchOptions, stitch
from .jobs import Job, Jobs
from .request_bodies import SongBody
from .stored_clips import ID, ClipsFolder, duration_s

FOLDER = "songs"
SOUNDS = (".flac", ".wav", ".mp3")
MAX_WIDTH = 2400
"""Most columns of an image on the page."""


@dataclass(frozen=True)
class StoredSongs:
    """Access to exported songs by file name; InputError for a name that does not exist."""

    clips: ClipsFolder
    jobs: Jobs

    def newest_songs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest songs: file name, duration and ``made``, which changes with the file.

        Damaged ones are skipped.
        """
        files = [path for path in self._folder.glob("*.*") if self._is_song(path.name)]
        files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        songs = []
        for path in files[:limit]:
            with suppress(InputError):
                songs.append(self.song_facts(path.name))
        return songs

    def song_facts(self, name: str) -> dict[str, Any]:
        """A song's file name, duration and ``made``; InputError if its sound is damaged."""
        path = self.sound_path(name)
        return {
            "name": path.name,
            "duration_s": duration_s(path),
            "made": path.stat().st_mtime_ns // 1_000_000,
        }

    def sound_path(self, name: str) -> Path:
        """Path of a song's sound file."""
        if not self._is_song(name):
            raise InputError(f"{name}: no such song in {self._folder}")
        return self._folder / name

    def coloured_image_png(self, name: str) -> bytes:
        """The mel image in the pages' colours, as PNG, at most ``MAX_WIDTH`` columns wide."""
        levels, _ = read_image(self.sound_path(name).with_suffix(".png"))
        image = Image.fromarray(levels if levels.ndim == 2 else levels[..., 0])
        if image.width > MAX_WIDTH:
            image = image.resize((MAX_WIDTH, image.height), Image.Resampling.BOX)
        return coloured_png(image)

    def start_joining(self, body: SongBody) -> None:
        """Join the clips in the background; Busy or InputError if it cannot start."""
        if not body.clips:
            raise InputError("the timeline is empty; add clips to it")
        images = [self.clips.file_path(clip_id, ".png") for clip_id in body.clips]
        out = self._unused_path(slug(body.name), f".{body.type}")
        options = StitchOptions(body.overlap_s, body.align, loop=body.loop)
        self.jobs.start(Job("song", 1), lambda job: _join_clips(job, images, out, options))

    @property
    def _folder(self) -> Path:
        return self.clips.folder / FOLDER

    def _is_song(self, name: str) -> bool:
        """Whether its files exist; the name is checked first, so no path outside is looked up."""
        path = self._folder / name
        return (
            bool(ID.fullmatch(name))
            and path.suffix in SOUNDS
            and all(file.is_file() for file in (path, path.with_suffix(".png")))
        )

    def _unused_path(self, stem: str, suffix: str) -> Path:
        """The first of NAME, NAME-2, NAME-3 ... that no song has."""
        number, name = 1, stem
        while (self._folder / f"{name}.png").exists():
            number += 1
            name = f"{stem}-{number}"
        return self._folder / f"{name}{suffix}"


def _join_clips(job: Job, images: list[Path], out: Path, options: StitchOptions) -> str:
    def report(name: str, done: int, total: int) -> None:
        job.report(done / max(total, 1), f"{out.name}: {name}")

    job.report(note=f"{out.name}: join")
    with progress_to(report):
        stitch(images, out, options)
    return out.name
