"""Assign whole artists, albums or tracks to train, validation or test, by a hash of their names.

sd-scripts can split too, but by image: windows of one track would be on both sides.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

from .sources import Track

Split = Literal["train", "val", "test"]
MIN_GROUPS = 3
"""Fewest groups that can be split; with fewer, the next smaller unit is the group."""

GROUPINGS: dict[str, Callable[[Track], str]] = {
    "artist": lambda t: f"artist {t.artist.casefold()}" if t.artist else _by_album(t),
    "album": lambda t: _by_album(t),
    "track": lambda t: f"track {t.sha256}",
}


def _by_album(track: Track) -> str:
    return f"album {track.album.casefold()}" if track.album else f"track {track.sha256}"


def assign_splits(
    tracks: Sequence[Track],
    seed: int = 0,
    val: float = 0.1,
    test: float = 0.1,
    held_out: Collection[str] = (),
) -> tuple[dict[str, Split], str]:
    """Map track ids to splits; also return the unit of the groups: "artist", "album" or "track".

    Groups are artists; a track without an artist belongs to its album, and without an album it is
    its own group. If that makes fewer than three groups (a folder of one artist's music), albums
    are the groups, and then tracks; fewer than three tracks are all "train".

    A group's split depends only on the seed and its name, so it stays when other groups are added,
    except that a group is moved if train or test would be empty. ``val`` and ``test`` are shares of
    the groups on average, not exact shares of the clips. Groups with a track in ``held_out`` go to
    "test", whatever their hash; groups of regularisation tracks alone are "train".
    """
    for grouping, group_of in GROUPINGS.items():
        groups = {track.id: group_of(track) for track in tracks}
        own_groups = {groups[track.id] for track in tracks if not track.is_reg}
        if len(own_groups) >= MIN_GROUPS:
            places = _place(own_groups, seed, val, test)
            places |= {groups[track]: "test" for track in held_out if groups[track] in own_groups}
            return {track: places.get(group, "train") for track, group in groups.items()}, grouping
    return {track.id: "train" for track in tracks}, "track"


def rare_combinations(instruments: Mapping[str, Collection[str]], n: int) -> set[str]:
    """Ids of tracks with one of the ``n`` rarest combinations of two or more instruments.

    ``instruments`` maps track ids to names. Equally rare combinations are taken in alphabetical
    order. The most common one is never taken, so that something is left to train on.

    >>> rare_combinations({"a": ["harp", "oud"], "b": ["bass", "drums"], "c": ["drums", "bass"]}, 5)
    {'a'}
    """
    combos = {track: tuple(sorted(set(names))) for track, names in instruments.items()}
    counts = Counter(combo for combo in combos.values() if len(combo) > 1)
    rarest = sorted(counts, key=lambda combo: (counts[combo], combo))[:-1][:n]
    return {track for track, combo in combos.items() if combo in rarest}


def _place(groups: set[str], seed: int, val: float, test: float) -> dict[str, Split]:
    position = {group: _hash_position(seed, group) for group in groups}
    places: dict[str, Split] = {group: _interval(x, val, test) for group, x in position.items()}
    order = sorted(groups, key=lambda group: (position[group], group))
    if test > 0 and "test" not in places.values():
        places[order[0]] = "test"
    if val + test < 1 and "train" not in places.values():
        places[order[-1]] = "train"
    return places


def _interval(x: float, val: float, test: float) -> Split:
    return "test" if x < test else "val" if x < test + val else "train"


def _hash_position(seed: int, group: str) -> float:
    """Pseudo-random number in 0..1 that depends only on the seed and the group's name."""
    digest = hashlib.sha256(f"{seed} {group}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
