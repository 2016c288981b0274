"""Manifest rows: what was measured, what was decided, and the words of every clip."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..captions.clean import Change, prompt
from ..captions.lexicon import load_lexicon
from ..captions.pipeline import tidy
from ..captions.tokens import count_tokens
from ..captions.voice import voices
from ..dataset import Row
from ..sources import Track
from .clip_ids import window_number
from .decide import Facets, Plan
from .options import BuildOptions
from .records import ClipFacts, Record

VOICE_WORD = "vocals"
"""Said of regularisation clips that are vocal and whose caption is silent about it."""


def track_rows(
    track: Track, record: Record, plan: Plan, facets: Facets, options: BuildOptions
) -> Iterator[Row]:
    """A row for every clip of a track that is kept; several captions take turns over them."""
    captions = (track.caption, *track.more_captions)
    is_vocal = plan.places[track.id] == "reg" and plan.vocal[track.id] > 0.5
    words = [_words(raw, facets[track.id], options, is_vocal=is_vocal) for raw in captions]
    for clip in record.clips:
        if clip.id not in record.left_out:
            number = window_number(clip.id) % len(captions)
            yield _row(track, record.place, clip, plan, facets) | {
                "caption_raw": captions[number],
                **words[number],
            }


def _words(
    raw: str, facets: Mapping[str, Mapping[str, float]], options: BuildOptions, *, is_vocal: bool
) -> dict[str, Any]:
    """The caption to train with, its tokens and its history; a vocal clip's says that it is one."""
    before = options.words_before("reg" if is_vocal else "train")
    keeps_voice = is_vocal or options.vocals == "keep"
    caption, tokens, changes = tidy(
        raw, before, voice=keeps_voice, reduce=options.reduces_captions, facets=facets
    )
    if is_vocal and not voices(caption, load_lexicon()):
        named = f"{caption}, {VOICE_WORD}"
        changes = [*changes, Change("voice named", caption, named)]
        caption, tokens = named, count_tokens(prompt(before, named))
    return {
        "caption": caption,
        "tokens": tokens,
        "caption_changes": [vars(change) for change in changes],
    }


def _row(track: Track, place: str, clip: ClipFacts, plan: Plan, facets: Facets) -> Row:
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
        "vocal_probability": plan.vocal[track.id],
        "vocal_window": clip.vocal_window,
        "vocal_evidence": json.dumps(plan.votes.get(track.id, {}), sort_keys=True),
        **clip.quality,
        "gain_db": clip.gain_db,
        "augmentation": None,
        "parent": None,
        "sha256": clip.sha256,
        "track_sha256": track.sha256,
        "truth": None if track.truth is None else json.dumps(track.truth, sort_keys=True),
    }
