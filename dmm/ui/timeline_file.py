"""The page's timeline on disk, so that it survives a reload and a restart."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files import read_json, write_text
from .request_bodies import TimelineBody

FILE = ".timeline.json"
"""File in the CLIPS folder; hidden, since it is no clip."""


@dataclass(frozen=True)
class TimelineFile:
    """The timeline of a CLIPS folder."""

    folder: Path

    def read(self) -> TimelineBody:
        """The saved timeline; an empty one if there is none, or if it is damaged."""
        path = self.folder / FILE
        try:
            return read_json(path, TimelineBody)
        except InputError:
            return TimelineBody(clips=[], overlap_s=0.5)

    def write(self, timeline: TimelineBody) -> None:
        """Save the timeline."""
        write_text(self.folder / FILE, json.dumps(timeline.model_dump(), indent=2) + "\n")
