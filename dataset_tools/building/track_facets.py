"""Estimate facets of tracks (instrument, mood ...) from captions and tags, and from sound."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..captions.facets import facet_probabilities
from ..captions.lexicon import load_lexicon
from ..similarity import votes_by_similarity
from ..sources import Track
from .audio_models import load_caption_embedder
from .decide import Facets, voice_evidence
from .options import BuildOptions
from .records import read_arrays

AUDIBLE_FACETS = ("instrument", "genre", "mood", "tempo", "production", "culture")
"""Facets that can be heard in a clip, so that an embedder can vote on them."""
MIN_UNMENTIONED = 0.05
"""Values that no caption or tag mentions are kept above this probability."""


def text_facets(tracks: Sequence[Track]) -> dict[str, dict[str, dict[str, float]]]:
    """Estimate facets from captions and tags alone."""
    found = facet_probabilities([voice_evidence(track) for track in tracks], load_lexicon())
    return {track.id: facets for track, facets in zip(tracks, found, strict=True)}


def facets_with_sound(
    folder: Path, tracks: Sequence[Track], facets: Facets, options: BuildOptions
) -> Facets:
    """Estimate facets again with the votes of an embedder; unchanged if the options name none."""
    if options.caption_embedder is None or not tracks:
        return facets
    rows = np.stack([read_arrays(folder, track.id)["embeddings"].mean(0) for track in tracks])
    embedder, lexicon = load_caption_embedder(options.caption_embedder), load_lexicon()
    terms = [(facet, value) for facet in AUDIBLE_FACETS for value in lexicon.values(facet)]
    votes = votes_by_similarity(embedder, rows, [value for _, value in terms])
    from_sound: list[dict[str, dict[str, int]]] = [{} for _ in tracks]
    for n, k in zip(*np.nonzero(votes), strict=True):
        facet, value = terms[k]
        from_sound[n].setdefault(facet, {})[value] = int(votes[n, k])
    found = facet_probabilities([voice_evidence(t) for t in tracks], lexicon, from_sound)
    return {
        track.id: _without_unlikely(now, facets[track.id])
        for track, now in zip(tracks, found, strict=True)
    }


def _without_unlikely(
    now: dict[str, dict[str, float]], mentioned: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Drop values that no word mentions and that the embedder denies: most values of a track."""
    kept = {
        facet: {
            value: p
            for value, p in values.items()
            if p > MIN_UNMENTIONED or value in mentioned.get(facet, {})
        }
        for facet, values in now.items()
    }
    return {facet: values for facet, values in kept.items() if values}
