"""Prepare a caption for training: clean it, remove voices, reduce it, limit it to 77 tokens."""

from collections.abc import Mapping

from .clean import Change, clean, full_prompt, without_anchor
from .lexicon import load_lexicon
from .reduce import reduce_caption
from .remove_voice import without_voice
from .tokens import count_tokens, fit_to_token_limit
from .voice_phrase import VOICE_TERMS


def prepare_caption(
    raw: str,
    anchor: str,
    *,
    keep_voice: bool,
    reduce: bool,
    facets: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[str, int, list[Change]]:
    """Prepare a caption; returns it, its number of tokens, and the changes in order.

    ``keep_voice`` keeps mentions of voices, for regularisation clips; otherwise they are removed.
    ``reduce`` keeps a few terms only; ``facets`` as in ``reduce_caption``. The anchor itself is
    left out, and a caption of nothing else is "music". The
    tokens are of "ANCHOR, caption" with start and end: at most 77 unless the anchor is longer.
    """
    caption, changes = clean_and_reduce(raw, keep_voice=keep_voice, reduce=reduce, facets=facets)
    caption, repeated = without_anchor(caption, anchor)
    caption, dropped = fit_to_token_limit(anchor, caption)
    changes += [*repeated, *dropped]
    return caption, count_tokens(full_prompt(anchor, caption)), changes


def clean_and_reduce(
    raw: str,
    *,
    keep_voice: bool,
    reduce: bool,
    facets: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[str, list[Change]]:
    """Clean a caption and, as the options say, remove voices and reduce it; also list the changes.

    Options are those of ``prepare_caption``, which limits the tokens afterwards.
    """
    lexicon = load_lexicon()
    caption, changes = clean(raw)
    if not keep_voice:
        caption, more = without_voice(caption, lexicon)
        changes += more
        facets = _facets_without_voices(facets or {})
    if reduce:
        caption, more = reduce_caption(caption, lexicon, facets)
        changes += more
    return caption, changes


def _facets_without_voices(
    facets: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, float]]:
    """Facets without values that are voices, which ``reduce_caption`` would otherwise add."""
    return {
        facet: {value: p for value, p in values.items() if value not in VOICE_TERMS}
        for facet, values in facets.items()
    }
