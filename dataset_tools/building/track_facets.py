"""Facets of tracks: what their words say, and if an embedder is named, what the sound says too."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..captions.facets import facet_probabilities
from ..captions.lexicon import load_lexicon
from ..similarity import votes_from_rows
from ..sources import Track
from .decide import Facets, evidence_of
from .hearing import caption_checker
from .options import BuildOptions
from .records import read_arrays

HEARD_FACETS = ("instrument", "genre", "mood", "tempo", "production", "culture")
"""Facets that can be heard in a clip."""
RARE = 0.05
"""Probability above which a value is told that no word speaks of."""


def text_facets(tracks: Sequence[Track]) -> dict[str, dict[str, dict[str, float]]]:
    """Probabilities by track id, facet and value, from captions and tags alone."""
    found = facet_probabilities([evidence_of(track) for track in tracks], load_lexicon())
    return {track.id: facets for track, facets in zip(tracks, found, strict=True)}


def weigh_facets(
    out: Path, tracks: Sequence[Track], facets: Facets, options: BuildOptions
) -> Facets:
    """The same, the sound of every track having its vote; unchanged where nothing listens."""
    if options.check_captions is None or not tracks:
        return facets
    rows = np.stack([read_arrays(out, track.id)["embeddings"].mean(0) for track in tracks])
    embedder, lexicon = caption_checker(options.check_captions), load_lexicon()
    terms = [(facet, value) for facet in HEARD_FACETS for value in lexicon.values(facet)]
    votes = votes_from_rows(embedder, rows, [value for _, value in terms])
    heard: list[dict[str, dict[str, int]]] = [{} for _ in tracks]
    for n, k in zip(*np.nonzero(votes), strict=True):
        facet, value = terms[k]
        heard[n].setdefault(facet, {})[value] = int(votes[n, k])
    found = facet_probabilities([evidence_of(t) for t in tracks], lexicon, heard)
    return {
        track.id: _worth_telling(now, facets[track.id])
        for track, now in zip(tracks, found, strict=True)
    }


def _worth_telling(
    now: dict[str, dict[str, float]], said: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Leave out what only the listener spoke of, to deny it: most values, in most tracks."""
    told = {
        facet: {v: p for v, p in values.items() if p > RARE or v in said.get(facet, {})}
        for facet, values in now.items()
    }
    return {facet: values for facet, values in told.items() if values}
