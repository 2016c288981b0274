"""Decide the split of every track, and which clips are left out, once all have been measured.

Nothing is read or written here, and the order in which tracks were cut does not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..fingerprint import find_duplicates
from ..layout import LEFT_OUT
from ..sources import Rejected, Track
from ..splits import Split, assign_splits, rare_combinations
from ..vocals.evidence import VoiceEvidence
from ..vocals.gate import HIGH, judge_tracks, place_track, vocal_windows
from .options import BuildOptions
from .records import TrackRecord

COMBO_SIZE = 3
"""Number of a track's most probable instruments that make up its combination."""


@dataclass(frozen=True)
class Placement:
    """The split of every track, the tracks and clips that are left out, and the evidence for it."""

    places: dict[str, str]
    """Track id to a split or ``LEFT_OUT``."""
    grouping: str
    """Unit that is never divided between splits: ``artist``, ``album`` or ``track``."""
    rejected: dict[str, Rejected] = field(default_factory=dict)
    """Clip id, or track id for a whole track, to the reason."""
    vocal: dict[str, float] = field(default_factory=dict)
    """Track id to the probability of a voice."""
    votes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Track id to the votes of the labelling functions: 1 for a voice, -1 against, 0 abstained."""
    evidence_quality: dict[str, dict[str, float]] = field(default_factory=dict)
    """Labelling function to its learnt ``coverage`` and ``accuracy``, 0 to 1."""

    def place_and_left_out(self, record: TrackRecord, track: Track) -> tuple[str, list[str]]:
        """Place of a track, and the ids of its clips that are left out."""
        left_out = [clip.id for clip in record.clips if clip.id in self.rejected]
        return self.places[track.id], left_out


Facets = Mapping[str, dict[str, dict[str, float]]]
"""Track id to facet ("instrument") to value ("piano") to probability."""


def voice_evidence(track: Track, record: TrackRecord | None = None) -> VoiceEvidence:
    """Collect the evidence for or against a voice in a track; with its record, from sound too."""
    clips = record.clips if record else []
    probabilities = tuple(c.vocal_window for c in clips if c.vocal_window is not None)
    captions = (track.caption, *track.more_captions)
    if track.caption_origin in ("rule", "title"):  # names, which rarely mention a voice
        captions = ()
    return VoiceEvidence(captions, track.tags, track.has_lyrics, track.instrumental, probabilities)


def split_tracks(
    tracks: Sequence[Track],
    options: BuildOptions,
    facets: Facets,
    clip_counts: Mapping[str, int] | None = None,
) -> tuple[dict[str, Split], str]:
    """Assign tracks to splits, also before any is cut; returns track id to split, and the grouping.

    ``clip_counts``: track id to its number of clips to train on, once known. Rare combinations of
    instruments go to ``test``, if the options ask for it.
    """
    rare: set[str] = set()
    if options.holdout_combos:
        combos = {track.id: _instrument_combination(track, facets[track.id]) for track in tracks}
        rare = rare_combinations(combos, options.holdout_combos)
    return assign_splits(tracks, options.seed, options.val, options.test, rare, clip_counts)


def _instrument_combination(track: Track, facets: dict[str, dict[str, float]]) -> list[str]:
    """A track's instruments: the exact ones, or the most probable by its facets."""
    if track.truth and "instruments" in track.truth:
        return list(track.truth["instruments"])
    found = {v: p for v, p in facets.get("instrument", {}).items() if p > 0.5}
    return sorted(found, key=lambda value: (-found[value], value))[:COMBO_SIZE]


def place_tracks(
    tracks: Sequence[Track],
    records: Mapping[str, TrackRecord],
    fingerprints: Mapping[str, np.ndarray],
    options: BuildOptions,
    facets: Facets,
) -> Placement:
    """Decide splits and refusals of tracks that have been cut; ``fingerprints`` are by clip id."""
    placement = Placement({}, "")
    _judge_voices(placement, tracks, records)
    clips = {
        track.id: _count_clips_to_train(placement, track, records, options) for track in tracks
    }
    splits, grouping = split_tracks(tracks, options, facets, clips)
    placement = replace(placement, grouping=grouping)
    for track in tracks:
        _set_place(placement, track, splits[track.id], options)
        if options.vocals == "gate" and placement.places[track.id] not in ("reg", LEFT_OUT):
            _refuse_vocal_windows(placement, track, records[track.id])
    if not options.duplicates:
        _refuse_duplicates(placement, tracks, records, fingerprints)
    return placement


def _judge_voices(
    placement: Placement, tracks: Sequence[Track], records: Mapping[str, TrackRecord]
) -> None:
    """Set in ``placement`` each track's probability of a voice: by truth, otherwise by evidence."""
    for track in tracks:
        if track.truth is not None:
            placement.vocal[track.id] = float(bool(track.truth.get("vocals")))
    unknown = [track for track in tracks if track.truth is None]
    if not unknown:
        return
    verdicts = judge_tracks([voice_evidence(track, records[track.id]) for track in unknown])
    placement.evidence_quality.update(
        (f.name, {"coverage": round(f.coverage, 4), "accuracy": round(f.accuracy, 4)})
        for f in verdicts.functions
        if f.coverage
    )
    for track, probability, votes in zip(
        unknown, verdicts.probabilities, verdicts.votes, strict=True
    ):
        placement.vocal[track.id] = round(float(probability), 6)
        placement.votes[track.id] = dict(votes)


def _wanted_place(placement: Placement, track: Track, options: BuildOptions) -> str:
    """Place of a track before splits: ``reg``, or by its probability of a voice."""
    if track.is_reg:
        return "reg"
    probability = placement.vocal[track.id]
    return place_track(probability, options.unsure) if options.vocals == "gate" else "train"


def _count_clips_to_train(
    placement: Placement, track: Track, records: Mapping[str, TrackRecord], options: BuildOptions
) -> int:
    """Number of the track's clips; 0 if it is not trained on."""
    trained = _wanted_place(placement, track, options) == "train"
    return len(records[track.id].clips) if trained else 0


def _set_place(placement: Placement, track: Track, split: Split, options: BuildOptions) -> None:
    """Set a track's place in ``placement``: its split, or regularisation for vocal tracks.

    Vocal tracks of a group that is kept for validation or testing are left out.
    """
    probability = placement.vocal[track.id]
    wanted = _wanted_place(placement, track, options)
    placement.places[track.id] = split if wanted == "train" else wanted
    why = None
    if wanted == LEFT_OUT:
        why = f"unsure: a voice with probability {probability:.2f} (--unsure out)"
    elif wanted == "reg" and split != "train":
        kind = "regularisation" if track.is_reg else "vocal" if probability >= HIGH else "unsure"
        why = f"{kind}: a voice with probability {probability:.2f}, in a group kept for {split}"
    if why:
        placement.places[track.id] = LEFT_OUT
        placement.rejected[track.id] = Rejected(track.input, why)


def _refuse_vocal_windows(placement: Placement, track: Track, record: TrackRecord) -> None:
    """Refuse in ``placement`` the clips of an instrumental track that have a voice."""
    clips = [clip for clip in record.clips if clip.vocal_window is not None]
    probabilities = [clip.vocal_window for clip in clips if clip.vocal_window is not None]
    vocal = vocal_windows(probabilities, placement.vocal[track.id])
    for clip, is_vocal in zip(clips, vocal, strict=True):
        if is_vocal:
            reason = f"vocal window: probability {clip.vocal_window:.2f}"
            placement.rejected[clip.id] = Rejected(track.input, reason, round(clip.start_s, 3))


def _refuse_duplicates(
    placement: Placement,
    tracks: Sequence[Track],
    records: Mapping[str, TrackRecord],
    fingerprints: Mapping[str, np.ndarray],
) -> None:
    """Refuse in ``placement`` clips that sound like one of another track; repeats in one stay."""
    used = {
        clip.id: (track, clip)
        for track in tracks
        for clip in records[track.id].clips
        if placement.places[track.id] != LEFT_OUT and clip.id not in placement.rejected
    }
    groups = {clip_id: track.id for clip_id, (track, _) in used.items()}
    for found in find_duplicates({clip_id: fingerprints[clip_id] for clip_id in used}, groups):
        track, clip = used[found.id]
        first, first_clip = used[found.original_id]
        reason = (
            f"near-duplicate: {found.similarity:.0%} like {first.input} "
            f"at {first_clip.start_s:.2f} s (--duplicates keeps it)"
        )
        placement.rejected[clip.id] = Rejected(track.input, reason, round(clip.start_s, 3))
