"""A caption's way from as found to as trained: clean, no voice, reduced, fitted to the encoders."""

from collections.abc import Mapping

from . import reduce as reduction
from .clean import Change, clean, prompt
from .lexicon import load_lexicon
from .tokens import count_tokens, fit
from .voice import VOICE, without_voice


def tidy(
    raw: str,
    anchor: str,
    *,
    voice: bool,
    reduce: bool,
    facets: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[str, int, list[Change]]:
    """Return the caption, the tokens of "ANCHOR, caption", and what every rule did, in order.

    ``voice`` keeps what is said of voices, as regularisation clips want it; without it, it is
    taken out. ``reduce`` leaves a few terms, ``facets`` as in ``reduce.reduce``. The tokens count
    start and end, and are at most 77 unless the anchor alone is longer.
    """
    caption, changes = prepare(raw, voice=voice, reduce=reduce, facets=facets)
    caption, dropped = fit(anchor, caption)
    return caption, count_tokens(prompt(anchor, caption)), [*changes, *dropped]


def prepare(
    raw: str,
    *,
    voice: bool,
    reduce: bool,
    facets: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[str, list[Change]]:
    """Do all of ``tidy`` that needs no tokeniser."""
    lexicon = load_lexicon()
    caption, changes = clean(raw)
    if not voice:
        caption, more = without_voice(caption, lexicon)
        changes += more
        facets = _without_voices(facets or {})
    if reduce:
        caption, more = reduction.reduce(caption, lexicon, facets)
        changes += more
    return caption, changes


def _without_voices(
    facets: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, float]]:
    return {
        facet: {value: p for value, p in values.items() if value not in VOICE}
        for facet, values in facets.items()
    }
