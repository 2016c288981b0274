"""Compose a caption of the facets that are probable, for tracks without a written caption."""

from collections.abc import Mapping

LIKELY = 0.5
"""Facets from this probability on are used in a caption."""
MOST_INSTRUMENTS = 2
DESCRIPTORS = {"genre": 1, "mood": 1, "production": 1}
"""Facet to the most of its values in a caption, in the caption's order."""


def compose_caption(facets: Mapping[str, Mapping[str, float]]) -> str:
    """Caption of up to two instruments, three descriptors and a tempo; empty if none is probable.

    ``facets`` maps a facet to its values and their probabilities.

    >>> compose_caption({"instrument": {"piano": 0.9, "flute": 0.2}, "tempo": {"slow": 0.8}})
    'piano, slow'
    """
    parts = _most_likely(facets.get("instrument", {}), MOST_INSTRUMENTS)
    for facet, most in DESCRIPTORS.items():
        parts += _most_likely(facets.get(facet, {}), most)
    words = {word: p for word, p in facets.get("tempo", {}).items() if not word.endswith("bpm")}
    return ", ".join([*parts, *_most_likely(words, 1)])


def _most_likely(values: Mapping[str, float], most: int) -> list[str]:
    likely = [(-p, value) for value, p in values.items() if p >= LIKELY]
    return [value for _, value in sorted(likely)[:most]]
