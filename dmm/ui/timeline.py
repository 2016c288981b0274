"""The timeline on disk, so that a reload and a new start find it again."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ..files import write_text
from .orders import Timeline

FILE = ".timeline.json"
"""Within the CLIPS folder; hidden, since it is no clip."""


@dataclass(frozen=True)
class TimelineFile:
    """The one timeline of a CLIPS folder."""

    folder: Path

    def read(self) -> Timeline:
        """As it was left; empty where there is none, or none that can be read."""
        path = self.folder / FILE
        try:
            return Timeline.model_validate_json(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValidationError):
            return Timeline(clips=[], overlap_s=0.5)

    def write(self, timeline: Timeline) -> None:
        """Keep it."""
        write_text(self.folder / FILE, json.dumps(timeline.model_dump(), indent=2) + "\n")
