"""Find the words of a caption that belong to a voice: "a raspy male voice singing in French"."""

import re
from dataclasses import dataclass

from .lexicon import Lexicon, Mention
from .voice_words import (
    ABOUT_VOICE,
    DETERMINERS,
    KEPT_LINKS,
    LINKS,
    MUSIC_NOUNS,
    PEOPLE,
    PRONOUNS,
    QUALITIES,
)

VOICE_TERMS = frozenset(
    "voice,choir,spoken word,vocoder,vocal samples,beatboxing,rap,opera,singer-songwriter".split(
        ","
    )
)
"""Instruments and genres of the lexicon that are voices."""
ADJECTIVES = ("mood", "tempo", "production", "culture")
"""Facets whose terms may describe a voice."""
PRONOUN = re.compile(rf"\b(?:{'|'.join(sorted(PRONOUNS))})\b", re.IGNORECASE)
"""Pronoun of a person, who is a singer in most captions."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|&")


@dataclass(frozen=True)
class VoicePhrase:
    """The words of a caption's part that belong to a voice, with the links before them."""

    start: int
    end: int
    link: str
    """The first link word that may be kept ("with", "and"); empty if there is none."""
    starts_part: bool
    """Whether the voice or its adjectives begin the part, without an article: "echoing voice"."""
    has_words_after: bool
    """Whether words about the voice follow it: "singing softly"."""


def voice_mentions(text: str, lexicon: Lexicon) -> list[Mention]:
    """Mentions of a voice, also denied ones."""
    return [mention for mention in lexicon.find_mentions(text) if mention.value in VOICE_TERMS]


def find_voice_phrase(part: str, mention: Mention, lexicon: Lexicon) -> VoicePhrase:
    """Find the words that belong to a mentioned voice, in a part between commas."""
    words = [m for m in _WORD.finditer(part) if m.start() < mention.start]
    while words and words[-1].end() > mention.start:
        words.pop()
    first = _first_adjective(words, part, lexicon)
    starts_part = first == 0 and (not words or words[0][0].lower() not in DETERMINERS)
    del words[first:]
    link = ""
    while words and words[-1][0].lower() in DETERMINERS | LINKS | PEOPLE:
        if (name := words.pop()[0].lower()) in KEPT_LINKS:
            link = name
    end = mention.end
    while more := ABOUT_VOICE.match(part, end):
        end = more.end()
    return VoicePhrase(words[-1].end() if words else 0, end, link, starts_part, end > mention.end)


def _first_adjective(words: list[re.Match[str]], part: str, lexicon: Lexicon) -> int:
    """Index of the first word before a voice that describes it.

    Words about voices, moods and the like describe it. So do up to three other words after "a",
    "with" or the beginning of the part, unless they are musical terms: "a salient voice".
    """
    names = [word[0].lower() for word in words]
    adjectives, terms, genres = _term_words(part, lexicon)
    is_adjective = [
        name in QUALITIES or name.endswith("ly") or word.start() in adjectives
        for name, word in zip(names, words, strict=True)
    ]
    first = len(words)
    while first:
        before = first - 1
        if is_adjective[before] or words[before].start() in genres:
            first = before
        elif names[before] in ("and", "or") and before and is_adjective[before - 1]:
            leads = names[before - 2] if before > 1 else ""
            if names[before - 1] not in PEOPLE and leads not in DETERMINERS | KEPT_LINKS:
                break
            first = before
        else:
            break
    for i in range(first - 1, max(-1, first - 4), -1):
        if names[i] in DETERMINERS | KEPT_LINKS:
            return i + (names[i] in KEPT_LINKS)
        if names[i] in LINKS | MUSIC_NOUNS or words[i].start() in terms:
            return first
    return first if first > 3 else 0


def _term_words(
    part: str, lexicon: Lexicon
) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    """Positions of words in terms that may describe a voice ("soft"), in others, and in genres."""
    adjectives: set[int] = set()
    others: set[int] = set()
    genres: set[int] = set()
    for mention in lexicon.find_mentions(part):
        starts = [w.start() for w in _WORD.finditer(part, mention.start, mention.end)]
        (adjectives if mention.facet in ADJECTIVES else others).update(starts)
        if (
            mention.facet == "genre"
            and part[mention.start : mention.end].split()[-1] not in MUSIC_NOUNS
        ):
            genres.update(starts)
    return frozenset(adjectives), frozenset(others), frozenset(genres)
