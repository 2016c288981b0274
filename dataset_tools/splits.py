"""Assign whole artists, albums or tracks to train, validation or test, by a hash of their names.

A hash alone would leave a few artists with splits of any size: shares of tracks and clips decide.

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
SLACK = 2.0
"""Factor by which a split may be larger or smaller than its share."""

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
    clip_counts: Mapping[str, int] | None = None,
) -> tuple[dict[str, Split], str]:
    """Map track ids to splits; also return the unit kept together: "artist", "album" or "track".

    Groups are artists; a track without an artist belongs to its album, and without an album it is
    its own group. If that makes fewer than three groups (a folder of one artist's music), albums
    are the groups, and then tracks; fewer than three tracks are all "train".

    A group's split depends on the seed and its name, so it stays when other groups are added, as
    long as the splits have about the wanted shares of tracks and of clips (``clip_counts`` by
    track id; 0 for a track that is not trained on). Otherwise groups move until they have. Groups
    with a track in ``held_out`` go to "test" in any case; groups of regularisation tracks alone
    are "train".
    """
    for grouping, group_of in GROUPINGS.items():
        groups = {track.id: group_of(track) for track in tracks}
        own = [track.id for track in tracks if not track.is_reg]
        if len({groups[track] for track in own}) >= MIN_GROUPS:
            counts = {
                track: 1 if clip_counts is None else clip_counts.get(track, 0) for track in own
            }
            places = place_groups(_group_weights(groups, counts), seed, val, test)
            places |= {groups[track]: "test" for track in held_out if groups[track] in places}
            return {track: places.get(group, "train") for track, group in groups.items()}, grouping
    return {track.id: "train" for track in tracks}, "track"


def _group_weights(groups: Mapping[str, str], clips: Mapping[str, int]) -> dict[str, float]:
    """Weight of each group: the mean of its shares of the tracks and of the clips."""
    n_tracks, n_clips = max(1, sum(n > 0 for n in clips.values())), max(1, sum(clips.values()))
    weights = dict.fromkeys((groups[track] for track in clips), 0.0)
    for track, n in clips.items():
        weights[groups[track]] += ((n > 0) / n_tracks + n / n_clips) / 2
    return weights


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


def place_groups(
    weights: Mapping[str, float], seed: int, val: float, test: float
) -> dict[str, Split]:
    """Place groups so that val and test have about these shares of the weight, 1 in all.

    By hash alone if that keeps the shares within a factor of ``SLACK``, otherwise in the order of
    the hashes, as many groups as come closest.
    """
    position = {group: _hash_position(seed, group) for group in weights}
    places: dict[str, Split] = {
        group: _split_at_position(x, val, test) for group, x in position.items()
    }
    if _is_fair(places, weights, val, test):
        return places
    order = sorted(weights, key=lambda group: (position[group], group))
    places = {group: "train" for group in order}
    shares: tuple[tuple[Split, float], ...] = (("test", test), ("val", val))
    for split, share in shares:
        left = [group for group in order if places[group] == "train"]
        taken = _groups_closest_to_share(left, weights, share)
        if not taken and split == "test" and share > 0:
            taken = [min(left, key=lambda group: weights[group] or 1.0)]
        places |= {group: split for group in taken}
    return places


def _is_fair(
    places: Mapping[str, Split], weights: Mapping[str, float], val: float, test: float
) -> bool:
    """Whether no split has far more or less than its share."""
    found: dict[Split, float] = {"train": 0.0, "val": 0.0, "test": 0.0}
    for group, split in places.items():
        found[split] += weights[group]
    wanted: dict[Split, float] = {"train": 1 - val - test, "val": val, "test": test}
    return all(w / SLACK <= found[split] <= w * SLACK for split, w in wanted.items())


def _groups_closest_to_share(
    order: Sequence[str], weights: Mapping[str, float], share: float
) -> list[str]:
    """The groups, taken in order, whose weights come closest to a share; never all of them."""
    taken: list[str] = []
    total = 0.0
    for group in order:
        after = total + weights[group]
        closer = weights[group] > 0 and abs(after - share) < abs(share - total)
        if closer and len(taken) + 1 < len(order):
            taken.append(group)
            total = after
    return taken


def _split_at_position(x: float, val: float, test: float) -> Split:
    """Split of a position in 0..1: first test, then val, then train."""
    return "test" if x < test else "val" if x < test + val else "train"


def _hash_position(seed: int, group: str) -> float:
    """Pseudo-random number in 0..1 that depends only on the seed and the group's name."""
    digest = hashlib.sha256(f"{seed} {group}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
