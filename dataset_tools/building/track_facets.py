"""Estimate facets of tracks (instrument, mood ...) from captions and tags, and from sound."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..captions.compose import compose_caption
from ..captions.facets import facet_probabilities
from ..captions.lexicon import load_lexicon
from ..description import Description, TrackSound, describe_tracks, embedder_votes
from ..signal_votes import mean_of_finite
from ..sound_facts import SoundFacts
from ..sources import Track
from .audio_models import load_caption_embedder
from .decide import Facets, voice_evidence
from .options import BuildOptions
from .records import TrackRecord, read_arrays

MIN_UNMENTIONED = 0.05
"""Values that no caption or tag mentions are kept above this probability."""


def text_facets(tracks: Sequence[Track]) -> dict[str, dict[str, dict[str, float]]]:
    """Estimate facets from captions and tags alone, by track id."""
    found = facet_probabilities([voice_evidence(track) for track in tracks], load_lexicon())
    return {track.id: facets for track, facets in zip(tracks, found, strict=True)}


def describe_by_sound(
    folder: Path, tracks: Sequence[Track], records: Mapping[str, TrackRecord], options: BuildOptions
) -> dict[str, Description]:
    """Describe every track by its sound, by track id; empty if the options do not ask for it.

    With only ``caption_embedder`` set, votes come from the embedder; with ``describe``, from the
    measured signal too.
    """
    if options.embedder is None or not tracks:
        return {}
    rows = np.stack([read_arrays(folder, track.id)["embeddings"].mean(0) for track in tracks])
    embedder, lexicon = load_caption_embedder(options.embedder), load_lexicon()
    if options.describe is None:
        found = [Description(votes=votes) for votes in embedder_votes(embedder, rows, lexicon)]
    else:
        sounds = [
            _track_sound(records[track.id], row) for track, row in zip(tracks, rows, strict=True)
        ]
        found = describe_tracks(embedder, sounds, lexicon)
    return {track.id: description for track, description in zip(tracks, found, strict=True)}


def _track_sound(record: TrackRecord, embedding: Float[np.ndarray, " dim"]) -> TrackSound:
    clips = record.clips
    return TrackSound(
        [SoundFacts(**clip.sound) for clip in clips if clip.sound is not None],
        mean_of_finite([clip.quality["loudness_lufs"] for clip in clips]),
        embedding,
        [clip.attributes for clip in clips if clip.attributes is not None],
    )


def facets_with_sound_votes(
    tracks: Sequence[Track], text_facets: Facets, descriptions: Mapping[str, Description]
) -> Facets:
    """Estimate facets from text and sound, without improbable values that no text mentions.

    Returns ``text_facets`` themselves without descriptions.
    """
    if not descriptions:
        return text_facets
    votes = [descriptions[track.id].votes for track in tracks]
    found = facet_probabilities([voice_evidence(t) for t in tracks], load_lexicon(), votes)
    return {
        track.id: _without_unlikely(now, text_facets[track.id])
        for track, now in zip(tracks, found, strict=True)
    }


def with_described_caption(track: Track, facets: Facets, options: BuildOptions) -> Track:
    """The track with a caption of its facets, if the options ask for it.

    A caption that somebody wrote stays, and so does any caption if no facet is probable.
    """
    if options.describe is None or track.caption_origin not in ("rule", "title"):
        return track
    caption = compose_caption(facets.get(track.id, {}))
    return replace(track, caption=caption, caption_origin="sound") if caption else track


def _without_unlikely(
    now: dict[str, dict[str, float]], mentioned: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Drop improbable values that no caption or tag mentions; these are most of a track's."""
    kept = {
        facet: {
            value: p
            for value, p in values.items()
            if p > MIN_UNMENTIONED or value in mentioned.get(facet, {})
        }
        for facet, values in now.items()
    }
    return {facet: values for facet, values in kept.items() if values}
