"""Statistics of captions: words, tokens and facets, to compare them before and after cleaning."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .clean import full_prompt, is_mostly_latin
from .lexicon import FACETS, load_lexicon
from .reduce import has_known_term
from .tokens import MAX_TOKENS, count_tokens
from .voice_phrase import VOICE_TERMS


def caption_statistics(captions: Sequence[str], anchor: str) -> dict[str, Any]:
    """Count captions, words, tokens and mentions of facets.

    Tokens are of "ANCHOR, caption" with start and end. ``facets`` has the share (0..1) of captions
    with a term of each facet, ``unknown`` the share without a term that ``reduce_caption`` keeps.
    ``too_long``, ``voice`` and ``unread`` (not in Latin script) are numbers of captions.
    """
    lexicon = load_lexicon()
    words = [len(caption.split()) for caption in captions]
    tokens = [count_tokens(full_prompt(anchor, caption)) for caption in captions]
    mentions = [lexicon.find_mentions(caption) for caption in captions]
    return {
        "captions": len(captions),
        "distinct": len(set(captions)),
        "words": _percentiles(words),
        "tokens": _percentiles(tokens),
        "too_long": sum(n > MAX_TOKENS for n in tokens),
        "voice": sum(any(m.value in VOICE_TERMS for m in found) for found in mentions),
        "facets": {
            facet: _share_true(any(m.facet == facet for m in found) for found in mentions)
            for facet in FACETS
        },
        "unread": sum(not is_mostly_latin(caption) for caption in captions),
        "unknown": _share_true(not has_known_term(caption, lexicon) for caption in captions),
    }


def _percentiles(values: Sequence[int]) -> dict[str, int]:
    """Median, 95th percentile and maximum; zeros without values."""
    if not values:
        return {"p50": 0, "p95": 0, "max": 0}
    p50, p95 = np.percentile(values, (50, 95), method="nearest").tolist()
    return {"p50": int(p50), "p95": int(p95), "max": max(values)}


def _share_true(hits: Iterable[bool]) -> float:
    """Share of true values, rounded to four decimals; 0 without values."""
    flags = list(hits)
    return round(sum(flags) / len(flags), 4) if flags else 0.0
