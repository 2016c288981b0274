"""Compose the manifest's rows: a clip's origin, split, caption and measurements."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..captions.clean import Change, full_prompt
from ..captions.lexicon import load_lexicon
from ..captions.pipeline import prepare_caption
from ..captions.tokens import count_tokens
from ..captions.voice_phrase import voice_mentions
from ..dataset import Row
from ..description import Description
from ..sources import Track
from .clip_ids import window_number
from .decide import Facets, Placement
from .options import BuildOptions
from .records import ClipFacts, TrackRecord

VOICE_WORD = "vocals"
"""Added to captions of vocal regularisation clips that mention none, if ``_voice_is_no_guess``."""
GUESSES = ("heard", "tag_sung_genre")
"""Labelling functions whose vote for a voice is a guess, not a person's statement."""


def track_rows(
    track: Track,
    record: TrackRecord,
    placement: Placement,
    facets: Facets,
    options: BuildOptions,
    description: Description | None = None,
) -> Iterator[Row]:
    """Yield a row for each kept clip of a track; clips take the track's captions in turn."""
    captions = (track.caption, *track.more_captions)
    is_vocal = placement.places[track.id] == "reg" and placement.vocal[track.id] > 0.5
    described = json.dumps(description.as_json(), sort_keys=True) if description else None
    is_stated = is_vocal and _voice_is_no_guess(track, placement)
    anchor = options.anchor_for_split(placement.places[track.id])
    fields = [
        _caption_fields(
            c, anchor, facets[track.id], options, is_vocal=is_vocal, names_voice=is_stated
        )
        for c in captions
    ]
    for clip in record.clips:
        if clip.id not in record.left_out:
            number = window_number(clip.id) % len(captions)
            yield _row_without_caption(track, record.place, clip, placement, facets) | {
                "description": described,
                "caption_raw": captions[number],
                **fields[number],
            }


def _voice_is_no_guess(track: Track, placement: Placement) -> bool:
    """Whether the judgement that a track is vocal rests on truth, words or a flag.

    The classifier alone may be wrong, and a wrong word in a caption would be learnt.
    """
    votes = placement.votes.get(track.id, {})
    return track.truth is not None or any(
        vote > 0 for name, vote in votes.items() if name not in GUESSES
    )


def _caption_fields(
    raw: str,
    anchor: str,
    facets: Mapping[str, Mapping[str, float]],
    options: BuildOptions,
    *,
    is_vocal: bool,
    names_voice: bool,
) -> dict[str, Any]:
    """Caption columns of a clip's row; with ``names_voice`` the caption names a voice."""
    keep_voice = is_vocal or options.vocals == "keep"
    caption, tokens, changes = prepare_caption(
        raw, anchor, keep_voice=keep_voice, reduce=options.reduces_to_descriptors, facets=facets
    )
    if names_voice and not voice_mentions(caption, load_lexicon()):
        named = f"{caption}, {VOICE_WORD}"
        changes = [*changes, Change("voice named", caption, named)]
        caption, tokens = named, count_tokens(full_prompt(anchor, named))
    return {
        "caption": caption,
        "tokens": tokens,
        "caption_changes": [vars(change) for change in changes],
    }


def _row_without_caption(
    track: Track, place: str, clip: ClipFacts, placement: Placement, facets: Facets
) -> Row:
    """The columns of a clip's row that are the same for any of the track's captions."""
    return {
        "id": clip.id,
        "source": track.source,
        "track": track.id,
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "url": track.url,
        "licence": track.licence,
        "start_s": clip.start_s,
        "split": place,
        "caption_origin": track.caption_origin,
        "facets": json.dumps(facets[track.id], sort_keys=True),
        "vocal_probability": placement.vocal[track.id],
        "vocal_window": clip.vocal_window,
        "vocal_evidence": json.dumps(placement.votes.get(track.id, {}), sort_keys=True),
        **clip.quality,
        "gain_db": clip.gain_db,
        "augmentation": None,
        "parent": None,
        "sha256": clip.sha256,
        "track_sha256": track.sha256,
        "truth": None if track.truth is None else json.dumps(track.truth, sort_keys=True),
    }
