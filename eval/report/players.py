"""What the page plays: every clip at most once in it, until it would be too heavy to mail."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..sets import ClipSet
from .media import Media, media


@dataclass(frozen=True)
class Player:
    """One clip to hear and see."""

    key: str
    """Its place among the page's sounds."""
    role: str
    """Which set it is of: "clips", "before", "real" or "train"."""
    id: str
    prompt: str | None
    seed: int | None


@dataclass
class Players:
    """The sounds and pictures of a page; asks for them in the order of importance."""

    sets: dict[str, ClipSet]
    budget: int
    """Bytes that are left."""
    store: dict[str, Media] = field(default_factory=dict)
    is_full: bool = False

    def player(self, role: str, clip: str) -> Player | None:
        """The clip's player, or None if the page is full; the first clip always has one."""
        own = self.sets[role]
        index = own.ids.index(clip)
        key = f"{role}/{clip}"
        if key not in self.store:
            content = None if self.is_full else media(own.clips.files[index])
            if content is None or (content.size > self.budget and self.store):
                self.is_full = True
                return None
            self.budget -= content.size
            self.store[key] = content
        origin = own.origins[index]
        return Player(key, role, clip, origin.prompt, origin.seed)

    def row(self, wanted: Sequence[tuple[str, str]]) -> list[Player]:
        """Clips that belong together, by role and id: all of them, or none if one does not fit."""
        found = [self.player(role, clip) for role, clip in wanted]
        return [one for one in found if one] if all(found) else []

    def json(self) -> dict[str, Any]:
        """By key: the data URIs of sound and picture."""
        return {key: {"audio": m.audio, "picture": m.picture} for key, m in self.store.items()}


def spread_out(rows: Sequence[Any], limit: int) -> list[Any]:
    """At most ``limit`` evenly spaced rows, the first among them.

    >>> spread_out(range(10), 4)
    [0, 2, 5, 7]
    """
    count = min(limit, len(rows))
    return [rows[i * len(rows) // count] for i in range(count)]
