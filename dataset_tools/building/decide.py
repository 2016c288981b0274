"""What becomes of every track and clip, decided once all are measured.

Nothing is read or written here, and nothing depends on the order in which tracks were cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..fingerprint import find_duplicates
from ..sources import Rejected, Track
from ..splits import Split, assign_splits, rare_combinations
from ..vocals.evidence import Evidence
from ..vocals.gate import HIGH, judge_tracks, place, vocal_windows
from .options import BuildOptions
from .records import Record

COMBO_SIZE = 3
"""Instruments of a track that count as its combination, the surest first."""


@dataclass(frozen=True)
class Plan:
    """Where every track goes, by track id, and what is left out of it, by clip id."""

    places: dict[str, str]
    """``train``, ``reg``, ``val``, ``test`` or ``out``."""
    grouping: str
    """What the splits were grouped by: ``artist``, ``album`` or ``track``."""
    rejected: dict[str, Rejected] = field(default_factory=dict)
    """Clip id, or track id for a whole track, to the reason."""
    vocal: dict[str, float] = field(default_factory=dict)
    """Probability that a voice is to be heard in the track."""
    votes: dict[str, dict[str, int]] = field(default_factory=dict)
    """What each piece of evidence said of it."""
    learnt: dict[str, dict[str, float]] = field(default_factory=dict)
    """What each kind of evidence proved to be worth: ``coverage`` and ``accuracy``, 0 to 1."""

    def of(self, record: Record, track: Track) -> tuple[str, list[str]]:
        """Where a track goes, and the ids of its clips that are left out."""
        left_out = [clip.id for clip in record.clips if clip.id in self.rejected]
        return self.places[track.id], left_out


Facets = Mapping[str, dict[str, dict[str, float]]]
"""Track id to facet to value to probability."""


def evidence_of(track: Track, record: Record | None = None) -> Evidence:
    """All that speaks for or against a voice in a track."""
    clips = record.clips if record else []
    heard = tuple(c.vocal_window for c in clips if c.vocal_window is not None)
    captions = (track.caption, *track.more_captions)
    if track.caption_origin == "rule":  # a file's name: that it is silent means nothing
        captions = ()
    return Evidence(captions, track.tags, track.has_lyrics, track.instrumental, heard)


def split_tracks(
    tracks: Sequence[Track], options: BuildOptions, facets: Facets
) -> tuple[dict[str, Split], str]:
    """Assign tracks to splits before any is cut, rare combinations of instruments to test."""
    rare: set[str] = set()
    if options.holdout_combos:
        combos = {track.id: _instruments(track, facets[track.id]) for track in tracks}
        rare = rare_combinations(combos, options.holdout_combos)
    return assign_splits(tracks, options.seed, options.val, options.test, rare)


def _instruments(track: Track, facets: dict[str, dict[str, float]]) -> list[str]:
    if track.truth and "instruments" in track.truth:
        return list(track.truth["instruments"])
    found = {v: p for v, p in facets.get("instrument", {}).items() if p > 0.5}
    return sorted(found, key=lambda value: (-found[value], value))[:COMBO_SIZE]


def decide(
    tracks: Sequence[Track],
    records: Mapping[str, Record],
    prints: Mapping[str, np.ndarray],
    options: BuildOptions,
    facets: Facets,
) -> Plan:
    """Plan for tracks that have been cut; ``prints`` are fingerprints by clip id, in order."""
    splits, grouping = split_tracks(tracks, options, facets)
    plan = Plan({}, grouping)
    _judge_voices(plan, tracks, records)
    for track in tracks:
        _place(plan, track, splits[track.id], options)
        if options.vocals == "gate" and plan.places[track.id] not in ("reg", "out"):
            _refuse_vocal_windows(plan, track, records[track.id])
    if not options.duplicates:
        _refuse_duplicates(plan, tracks, records, prints)
    return plan


def _judge_voices(plan: Plan, tracks: Sequence[Track], records: Mapping[str, Record]) -> None:
    """Fill in how probable a voice is: from the truth where it is known, else from evidence."""
    for track in tracks:
        if track.truth is not None:
            plan.vocal[track.id] = float(bool(track.truth.get("vocals")))
    asked = [track for track in tracks if track.truth is None]
    if not asked:
        return
    verdicts = judge_tracks([evidence_of(track, records[track.id]) for track in asked])
    plan.learnt.update(
        (f.name, {"coverage": round(f.coverage, 4), "accuracy": round(f.accuracy, 4)})
        for f in verdicts.functions
        if f.coverage
    )
    for track, probability, votes in zip(
        asked, verdicts.probabilities, verdicts.votes, strict=True
    ):
        plan.vocal[track.id] = round(float(probability), 6)
        plan.votes[track.id] = dict(votes)


def _place(plan: Plan, track: Track, split: Split, options: BuildOptions) -> None:
    """Vocal tracks are trained on as regularisation only, and are no reference for a test."""
    probability = plan.vocal[track.id]
    wanted = place(probability, options.unsure) if options.vocals == "gate" else "train"
    if track.is_reg:
        wanted = "reg"
    plan.places[track.id] = split if wanted == "train" else wanted
    why = None
    if wanted == "out":
        why = f"unsure: a voice with probability {probability:.2f} (--unsure out)"
    elif wanted == "reg" and split != "train":
        kind = "regularisation" if track.is_reg else "vocal" if probability >= HIGH else "unsure"
        why = f"{kind}: a voice with probability {probability:.2f}, in a group kept for {split}"
    if why:
        plan.places[track.id] = "out"
        plan.rejected[track.id] = Rejected(track.input, why)


def _refuse_vocal_windows(plan: Plan, track: Track, record: Record) -> None:
    clips = [clip for clip in record.clips if clip.vocal_window is not None]
    heard = [clip.vocal_window for clip in clips if clip.vocal_window is not None]
    for clip, is_vocal in zip(clips, vocal_windows(heard, plan.vocal[track.id]), strict=True):
        if is_vocal:
            reason = f"vocal window: probability {clip.vocal_window:.2f}"
            plan.rejected[clip.id] = Rejected(track.input, reason, round(clip.start_s, 3))


def _refuse_duplicates(
    plan: Plan,
    tracks: Sequence[Track],
    records: Mapping[str, Record],
    prints: Mapping[str, np.ndarray],
) -> None:
    """Refuse clips that sound like one of another track; a track may repeat itself."""
    used = {
        clip.id: (track, clip)
        for track in tracks
        for clip in records[track.id].clips
        if plan.places[track.id] != "out" and clip.id not in plan.rejected
    }
    groups = {clip_id: track.id for clip_id, (track, _) in used.items()}
    for found in find_duplicates({clip_id: prints[clip_id] for clip_id in used}, groups):
        track, clip = used[found.id]
        first, first_clip = used[found.of]
        reason = (
            f"near-duplicate: {found.similarity:.0%} like {first.input} "
            f"at {first_clip.start_s:.2f} s (--duplicates keeps it)"
        )
        plan.rejected[clip.id] = Rejected(track.input, reason, round(clip.start_s, 3))
