"""Compose a caption from the probable facets of a track that has no written caption."""

from collections.abc import Mapping

LIKELY = 0.5
"""Facet values with at least this probability are used in a caption."""
MOST_INSTRUMENTS = 2
DESCRIPTORS = {"genre": 1, "mood": 1, "production": 1}
"""Largest number of values of each facet in a caption, in the caption's order."""


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
    """Up to ``most`` values of probability ``LIKELY`` or more, the most probable first."""
    likely = [(-p, value) for value, p in values.items() if p >= LIKELY]
    return [value for _, value in sorted(likely)[:most]]
