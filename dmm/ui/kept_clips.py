"""Clips that the user marked as favourites, or deleted: until the page ends they can come back."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files import read_json, write_text
from .stored_clips import PARTS, ClipsFolder

FAVOURITES = ".favourites.json"
"""File in the CLIPS folder; hidden, since it is no clip."""
DELETED = ".deleted"
"""Folder in the CLIPS folder that deleted clips lie in until the page is opened again."""


@dataclass(frozen=True)
class KeptClips:
    """Favourites and deleted clips of a CLIPS folder."""

    clips: ClipsFolder

    @property
    def _deleted_folder(self) -> Path:
        return self.clips.folder / DELETED

    def favourite_ids(self) -> list[str]:
        """IDs of the favourites; none if the file is missing or damaged."""
        try:
            return read_json(self.clips.folder / FAVOURITES, list[str])
        except InputError:
            return []

    def set_favourite(self, clip_id: str, is_favourite: bool) -> None:
        """Add a clip to the favourites, or remove it; InputError if there is no such clip."""
        self.clips.file_path(clip_id, ".json")
        others = [name for name in self.favourite_ids() if name != clip_id]
        marked = sorted([*others, clip_id] if is_favourite else others)
        write_text(self.clips.folder / FAVOURITES, json.dumps(marked) + "\n")

    def delete(self, clip_id: str) -> None:
        """Take a clip out of the folder; InputError if there is no such clip."""
        files = [self.clips.file_path(clip_id, suffix) for suffix in PARTS]
        self._deleted_folder.mkdir(exist_ok=True)
        for path in files:  # the JSON first: without it the clip is gone
            os.replace(path, self._deleted_folder / path.name)

    def restore(self, clip_id: str) -> None:
        """Bring a deleted clip back; InputError if it is not there, or another has its place."""
        if not ClipsFolder(self._deleted_folder).has_clip(clip_id):
            raise InputError(f"{clip_id}: cannot be restored; it was deleted for good")
        if self.clips.has_clip(clip_id):
            raise InputError(f"{clip_id}: another clip has this name now; delete that one first")
        for suffix in reversed(PARTS):
            os.replace(
                self._deleted_folder / f"{clip_id}{suffix}",
                self.clips.folder / f"{clip_id}{suffix}",
            )

    def purge_deleted(self) -> None:
        """Delete for good what was deleted before the page was opened."""
        shutil.rmtree(self._deleted_folder, ignore_errors=True)
