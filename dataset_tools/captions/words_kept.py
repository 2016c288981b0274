"""Words of a caption's part that stay when the voice between them is removed."""

import re

from .lexicon import Lexicon
from .voice_phrase import VOICE_TERMS
from .voice_words import (
    ALWAYS_BEGINS_OTHER_SOUND,
    AND,
    BEGINS_OTHER_SOUND,
    DETERMINERS,
    LINKS,
    MUSIC_NOUNS,
    VERB,
)

NOUN_FACETS = ("instrument", "genre", "structure")
"""Facets whose terms a part may end in."""
SOUND_FACETS = ("instrument", "genre", "mood", "tempo", "production", "culture")
_RELATIVE = re.compile(r"\s+(?:that|which|who|where|when|while|in which|whose)\b", re.IGNORECASE)
_ARTICLE = re.compile(
    r"(?:by|with|of|over|an?|the|on top of|accompanied|backed|featuring|while)\s+", re.IGNORECASE
)
_ONLY_LINKING_WORDS = re.compile(
    r"(?:over|with|along|and|by|the|it|an?|to|on|of|top|accompanied|\s)+", re.I
)
_NEGATIONS = frozenset(
    "lack lacks lacking devoid absence free any sin sans minus zero nor or and".split()
)


def without_lead_in(before: str, *, negation: bool = False) -> str:
    """Cut trailing words that only introduce removed ones: "it has", "with a", "there is no"."""
    lead = (
        LINKS
        | DETERMINERS
        | ({"doesn't", "don't", "not", "non", "isn't", "w/o"} if negation else set())
    )
    while found := re.search(r"(?:^|[\s,;:(])([\w'’/]+)[\s-]*$", before):
        word = found[1].lower().replace("’", "'")
        if word not in lead and not (negation and (word.endswith("n't") or word in _NEGATIONS)):
            break
        before = before[: found.start(1)]
    return before.rstrip(" ,;:(-")


def words_kept_before(before: str, lexicon: Lexicon) -> str:
    """The words before a voice, if they end in a noun; otherwise their terms of sound."""
    before = without_lead_in(before)
    for text in (before, _RELATIVE.split(before)[0]):
        words = text.split()
        if not words:
            return ""
        last = len(text) - len(words[-1])
        nouns = [m for m in lexicon.find_mentions(text) if m.facet in NOUN_FACETS]
        if words[-1].lower() in MUSIC_NOUNS or any(m.start <= last < m.end for m in nouns):
            return text
    return list_sound_terms(before, lexicon)


def split_words_after(after: str, lexicon: Lexicon) -> tuple[str, str, bool]:
    """Words to keep after a voice, their joint, and whether words about the voice were cut.

    The joint is "and" (a list continues), "on" (a preposition begins them), or "" (a new part).
    """
    joint = ""
    if more := AND.match(after):
        after, joint = after[more.end() :], "and"
    if _ONLY_LINKING_WORDS.fullmatch(after):
        return "", "", True
    if joint and _begins_with_sound(after, lexicon):
        return after, joint, False
    if _begins_other_sound(after, 0, lexicon):
        return after, "on", False
    starts = (word.start() for word in re.finditer(r"\b\w+", after))
    sound = next((at for at in starts if _begins_other_sound(after, at, lexicon)), len(after))
    played = list_sound_terms(after[:sound], lexicon, ("instrument",))
    rest = without_article(after[sound:])
    return ", ".join(part for part in (played, rest) if part), "", bool(after)


def _begins_other_sound(text: str, start: int, lexicon: Lexicon) -> bool:
    """Whether a preposition at this place begins another sound: "over a soft piano"."""
    return bool(ALWAYS_BEGINS_OTHER_SOUND.match(text, start)) or (
        bool(BEGINS_OTHER_SOUND.match(text, start)) and _instrument_follows(text[start:], lexicon)
    )


def _begins_with_sound(text: str, lexicon: Lexicon) -> bool:
    """Whether a text begins as another sound with its adjectives: "and a soft drum beat"."""
    words = re.match(r"(?:[\w'’-]+\s*){1,5}", text)
    if VERB.match(text) or not words:
        return False
    nouns = [m for m in lexicon.find_mentions(text) if m.facet in NOUN_FACETS]
    return any(m.start < words.end() and m.value not in VOICE_TERMS for m in nouns) or any(
        word.lower() in MUSIC_NOUNS for word in words[0].split()
    )


def _instrument_follows(text: str, lexicon: Lexicon) -> bool:
    """Whether one of the next words is an instrument or the music: "with a soft piano"."""
    near = re.match(r"(?:[\w'’-]+\s*){1,7}", text)
    return bool(near) and any(
        m.facet in ("instrument", "genre") and m.value not in VOICE_TERMS and m.start < near.end()
        for m in lexicon.find_mentions(text)
    )


def without_article(text: str) -> str:
    """Cut articles and links from the start: "with a piano" becomes "piano"."""
    while stripped := _ARTICLE.match(text):
        text = text[stripped.end() :]
    return text


def list_sound_terms(text: str, lexicon: Lexicon, facets: tuple[str, ...] = SOUND_FACETS) -> str:
    """Join the terms of sound in a text by commas, in its own spelling, without voices."""
    terms = [
        text[mention.start : mention.end]
        for mention in lexicon.find_mentions(text)
        if mention.facet in facets and mention.value not in VOICE_TERMS and not mention.negated
    ]
    return ", ".join(dict.fromkeys(terms))
