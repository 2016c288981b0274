"""Players of the page: each clip's audio and image is stored once, within a limit of bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..sets import ClipSet
from .media import Media, clip_media


@dataclass(frozen=True)
class Player:
    """A clip with its audio and image in the page."""

    key: str
    """Key of its audio and image in the page: role/id."""
    role: str
    """Its set: "clips", "before", "real" or "train"."""
    id: str
    prompt: str | None
    seed: int | None


@dataclass
class Players:
    """Audio and images of a page; clips that are added first have priority."""

    sets: dict[str, ClipSet]
    budget: int
    """Remaining bytes."""
    store: dict[str, Media] = field(default_factory=dict)
    is_full: bool = False

    def add_clip(self, role: str, clip: str) -> Player | None:
        """Add a clip; None if the page is full. The first clip is always added."""
        own = self.sets[role]
        index = own.ids.index(clip)
        key = f"{role}/{clip}"
        if key not in self.store:
            content = None if self.is_full else clip_media(own.clips.files[index])
            if content is None or (content.size_bytes > self.budget and self.store):
                self.is_full = True
                return None
            self.budget -= content.size_bytes
            self.store[key] = content
        origin = own.origins[index]
        return Player(key, role, clip, origin.prompt, origin.seed)

    def add_row(self, wanted: Sequence[tuple[str, str]]) -> list[Player]:
        """Players of clips that belong together, by role and id; empty if one does not fit."""
        found = [self.add_clip(role, clip) for role, clip in wanted]
        return [one for one in found if one] if all(found) else []

    def data_uris(self) -> dict[str, Any]:
        """Data URIs of audio and image, by key."""
        return {key: {"audio": m.audio, "picture": m.picture} for key, m in self.store.items()}


def evenly_spaced(rows: Sequence[Any], limit: int) -> list[Any]:
    """At most ``limit`` evenly spaced rows, including the first.

    >>> evenly_spaced(range(10), 4)
    [0, 2, 5, 7]
    """
    count = min(limit, len(rows))
    return [rows[i * len(rows) // count] for i in range(count)]
