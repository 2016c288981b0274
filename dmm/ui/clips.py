"""A CLIPS folder as the page sees it: what is in it, its pictures in colour, its sound."""

import json
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
from ..pages import coloured_png

ID = re.compile(r"\w[\w.-]*")
"""What clips are called: never a path, never hidden."""
PARTS = (".json", ".png", ".flac")


@dataclass(frozen=True)
class ClipsFolder:
    """Clips by their IDs; InputError for any that is not there."""

    folder: Path

    def newest(self, limit: int, also: Sequence[str] = ()) -> tuple[list[dict[str, Any]], int]:
        """What the newest clips are, newest first, and how many there are in all.

        Clips that are ``also`` wanted come too, however old; damaged ones are passed over.
        """
        made = {path.stem: path.stat().st_mtime_ns for path in self.folder.glob("*.json")}
        whole = [clip_id for clip_id in made if self._is_whole(clip_id)]
        whole.sort(key=lambda clip_id: (made[clip_id], clip_id), reverse=True)
        wanted = dict.fromkeys([*whole[:limit], *(c for c in also if c in made)])
        clips = []
        for clip_id in wanted:
            with suppress(InputError):
                clips.append(self.facts(clip_id))
        return clips, len(whole)

    def facts(self, clip_id: str) -> dict[str, Any]:
        """A clip's settings, its ID and seconds, and a number that changes when it is made anew."""
        path, sound = self.file(clip_id, ".json"), self.file(clip_id, ".flac")
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            duration_s = soundfile.info(sound).duration
        except (ValueError, soundfile.LibsndfileError) as error:
            raise InputError(f"{path.with_suffix('')}: a damaged clip ({error})") from error
        made = path.stat().st_mtime_ns // 1_000_000
        return {**facts, "id": clip_id, "duration_s": duration_s, "made": made}

    def picture(self, clip_id: str) -> bytes:
        """The mel image in the colours of all our pages, as PNG; of stereo, the middle."""
        levels, _ = read_image(self.file(clip_id, ".png"))
        return coloured_png(Image.fromarray(levels if levels.ndim == 2 else levels[..., 0]))

    def file(self, clip_id: str, suffix: str) -> Path:
        """One of a clip's three files."""
        if not self._is_whole(clip_id):
            raise InputError(f"{clip_id}: no such clip in {self.folder}")
        return self.folder / f"{clip_id}{suffix}"

    def _is_whole(self, clip_id: str) -> bool:
        """The files are asked for by name only once the name is no path."""
        return bool(ID.fullmatch(clip_id)) and all(
            (self.folder / f"{clip_id}{suffix}").is_file() for suffix in PARTS
        )
