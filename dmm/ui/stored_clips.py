"""The clips of a CLIPS folder for the page: settings, coloured images, sound files."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
from PIL import Image

from ..codec.image import read_image
from ..errors import InputError
from ..files import check_regular, read_json
from ..pages import coloured_png

ID = re.compile(r"\w[\w.-]*")
"""Valid clip IDs: no path separators, no leading dot."""
PARTS = (".json", ".png", ".flac")


@dataclass(frozen=True)
class ClipsFolder:
    """Access to clips by ID; InputError for an ID that does not exist."""

    folder: Path

    def newest_clips_and_count(
        self, limit: int, also: Sequence[str] = ()
    ) -> tuple[list[dict[str, Any]], int]:
        """Settings of the newest clips, newest first, and the number of all clips.

        Clips in ``also`` are included whatever their age; damaged clips are skipped.
        """
        made = {path.stem: path.stat().st_mtime_ns for path in self.folder.glob("*.json")}
        whole = [clip_id for clip_id in made if self.has_clip(clip_id)]
        whole.sort(key=lambda clip_id: (made[clip_id], clip_id), reverse=True)
        wanted = dict.fromkeys([*whole[:limit], *(c for c in also if c in made)])
        clips = []
        for clip_id in wanted:
            with suppress(InputError):
                clips.append(self.clip_facts(clip_id))
        return clips, len(whole)

    def clip_facts(self, clip_id: str) -> dict[str, Any]:
        """A clip's settings, ID, duration and ``made``, a number that changes with its files."""
        path, sound = self.file_path(clip_id, ".json"), self.file_path(clip_id, ".flac")
        facts, length = read_json(path), duration_s(sound)
        made = path.stat().st_mtime_ns // 1_000_000
        return {**facts, "id": clip_id, "duration_s": length, "made": made}

    def coloured_image_png(self, clip_id: str) -> bytes:
        """The mel image in the pages' colours, as PNG; the mid channel of stereo images."""
        levels, _ = read_image(self.file_path(clip_id, ".png"))
        return coloured_png(Image.fromarray(levels if levels.ndim == 2 else levels[..., 0]))

    def file_path(self, clip_id: str, suffix: str) -> Path:
        """Path of one of a clip's three files."""
        if not self.has_clip(clip_id):
            raise InputError(f"{clip_id}: no such clip in {self.folder}")
        return self.folder / f"{clip_id}{suffix}"

    def has_clip(self, clip_id: str) -> bool:
        """Whether all files exist; the ID is checked first, so no path outside is looked up."""
        return bool(ID.fullmatch(clip_id)) and all(
            (self.folder / f"{clip_id}{suffix}").is_file() for suffix in PARTS
        )


def duration_s(sound: Path) -> float:
    """Length of a sound file in seconds; InputError if it is damaged."""
    check_regular(sound)
    try:
        return float(soundfile.info(sound).duration)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise InputError(f"{sound}: damaged sound ({error}); make it again") from error
