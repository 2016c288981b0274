"""Find musical terms in text: the facet each belongs to (instrument, mood ...), and one spelling.

The terms are in ``presets/data/lexicon.toml``: a table for each facet, a line for each term, and
its synonyms in brackets. New words are added there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from dmm.errors import InputError
from dmm.files import read_toml

from ..denials import Span, denied_spans, is_denied

FACETS = (
    "instrument", "genre", "mood", "tempo", "production",
    "structure", "culture", "function", "abstract",
)  # fmt: skip
DEFAULT_LEXICON = Path(__file__).parents[2] / "presets" / "data" / "lexicon.toml"
_WORD = re.compile(r"[^\W_]+(?:['’](?:s|t|re|ll)\b)?")
_INSIDE_TERM = re.compile(r" ?[-‐–/&'’+]? ?")
_BPM = re.compile(r"\b(\d{2,3})\s*-?bpm\b|\b(\d{2,3}) beats (?:per|a) minute\b", re.IGNORECASE)


@dataclass(frozen=True)
class Mention:
    """A term found in a text, at ``text[start:end]``."""

    facet: str
    value: str
    """The term as the lexicon writes it; for the facet tempo also "120 bpm"."""
    start: int
    end: int
    negated: bool = False
    """Whether the text denies it: "no drums", "without drums", "drum-free"."""


class Lexicon:
    """Musical terms by facet; ``find_mentions`` ignores case, plural and hyphens."""

    def __init__(self, terms: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """``terms[facet][value]`` lists synonyms of ``value``; InputError for ambiguous ones."""
        if unknown := terms.keys() - set(FACETS):
            raise InputError(f"no facet {min(unknown)!r}; there are: {', '.join(FACETS)}")
        self._values = {facet: tuple(terms.get(facet, ())) for facet in FACETS}
        self._terms = _terms_by_words(terms)
        self._longest: dict[str, int] = {}
        for words in self._terms:
            self._longest[words[0]] = max(self._longest.get(words[0], 0), len(words))

    def values(self, facet: str) -> tuple[str, ...]:
        """Terms of a facet, in the lexicon's spelling and order."""
        return self._values[facet]

    def find_mentions(self, text: str) -> list[Mention]:
        """Find terms in the order of the text, also denied ones, longest first where they overlap.

        >>> load_lexicon().find_mentions("No drums, two e-guitars")[1].value
        'electric guitar'
        """
        matches = list(_WORD.finditer(text))
        words = [match[0].lower().replace("’", "'") for match in matches]
        spans = [match.span() for match in matches]
        denied = denied_spans(text)
        mentions = [*self._terms_in(text, words, spans, denied), *_tempo_mentions(text)]
        return sorted(mentions, key=lambda mention: mention.start)

    def _terms_in(
        self, text: str, words: list[str], spans: list[Span], denied: list[Span]
    ) -> Iterator[Mention]:
        """Yield the lexicon's terms in the text, the longest at each word."""
        i = 0
        while i < len(words):
            for n in range(min(self._longest.get(words[i], 0), len(words) - i), 0, -1):
                term = self._terms.get(tuple(words[i : i + n]))
                if term and _is_joined(text, spans[i : i + n]):
                    span = spans[i][0], spans[i + n - 1][1]
                    yield Mention(*term, *span, is_denied(span[0], denied))
                    i += n
                    break
            else:
                i += 1


@cache
def load_lexicon(path: Path | None = None) -> Lexicon:
    """Read a lexicon, by default the one in ``presets/data``; InputError if it is not valid."""
    path = path or DEFAULT_LEXICON
    try:
        return Lexicon(read_toml(path, dict[str, dict[str, list[str]]]))
    except InputError as error:
        raise InputError(f"{path} is no lexicon: {error}") from error


Terms = dict[tuple[str, ...], tuple[str, str]]


def _terms_by_words(terms: Mapping[str, Mapping[str, Sequence[str]]]) -> Terms:
    """Map every spelling and plural, as words, to facet and value; InputError if ambiguous."""
    listed: Terms = {}
    plurals: Terms = {}
    for facet, values in terms.items():
        for value, synonyms in values.items():
            for form in (value, *synonyms):
                words = tuple(word.lower() for word in _WORD.findall(form))
                clash = listed.setdefault(words, (facet, value))
                if clash != (facet, value):
                    raise InputError(f"{form!r} is in {clash} and in {(facet, value)}: keep one")
                plurals.setdefault((*words[:-1], _plural(words[-1])), (facet, value))
    return plurals | listed  # a listed spelling takes precedence over a plural


def _plural(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(s|x|z|ch|sh)$", word) else "s")


def _tempo_mentions(text: str) -> Iterator[Mention]:
    """Yield tempos in beats per minute: "120 bpm"."""
    for match in _BPM.finditer(text):
        yield Mention("tempo", f"{match[1] or match[2]} bpm", *match.span())


def _is_joined(text: str, spans: Sequence[Span]) -> bool:
    """Whether only characters that a term may hold are between the words, such as no comma."""
    return all(_INSIDE_TERM.fullmatch(text[a[1] : b[0]]) for a, b in pairwise(spans))
