"""Find the words that a caption denies or only wishes for: "no piano", "drums are absent".

A small grammar of English denials, with the Spanish "sin". A denial is a word ("no", "not",
"absent") with a scope: the words it applies to. Scopes run over lists ("no guitar, piano or
drums") and end at words such as "but" and "with".
"""

import re
from collections.abc import Iterator

Span = tuple[int, int]


def _any_of(words: str) -> str:
    """Regex source of whole-word alternatives, separated by spaces; "_" stands for a space."""
    return r"\b(?:" + "|".join(words.replace("_", r"\s+").split()) + r")\b"


_NOUNS_AFTER = re.compile(
    r"\bno[\s-]+(?!(?:doubt|matter|wonder|longer|one|less|fewer|end)\b|\.?\s*\d)"
    r"|\b(?:without|w/o)\s+(?!(?:a\s+)?(?:doubt|question)\b|losing\b)"
    r"|"
    + _any_of(
        r"""sans minus zero sin neither nor lack(?:s|ed|ing)?(?:\s+of|\s+in)? (?:de)?void_of free_of
        free_from absen(?:ce|t)_of missing(?=\s+\w) exclud(?:es|ing) instead_of rather_than unlike
        as_opposed_to opposite_of far_from anything_but hardly_any barely_any ning[uú]na?"""
    ),
    re.IGNORECASE,
)
"""A denial of the nouns after it."""
_EXCEPT = re.compile(r"\b(?:except(?:ing)?|save)(?:\s+for)?\s+", re.IGNORECASE)
_EVERYTHING = re.compile(
    r"\b(?:everything|every\s+instrument|all\s+(?:the\s+)?(?:other\s+)?"
    r"(?:instruments|elements|sounds)|(?:full|whole)\s+band)\b",
    re.IGNORECASE,
)
"""Before "except", so that the nouns after it are denied: "everything except drums"."""
_VERB_AFTER = re.compile(
    r"\b(?:not|\w+n['’]t|cannot|never|no\s+longer|no\s?one|nobody)\b(?!\s+(?:only|just|merely|sure"
    r"|to\s+mention|like|love|enjoy|mind|know|understand|help\s+but|the\s+only|for)\b)",
    re.IGNORECASE,
)
"""A denial of the statement after it; not "I don't like" or "if it wasn't for"."""
_NON = re.compile(r"\bnon(?:[\s-]+)(?=\w)", re.IGNORECASE)
_ABSENT = re.compile(
    r"""\s+(?:
      (?:is|are|was|were|be|being|seems?|remains?)\s+(?:\w+ly\s+)?
        (?:absent|gone|removed|omitted|left\s+out|nowhere
          |(?:missing|lacking)(?=\s*(?:$|[,.;:!?)]|\b(?:from|in|here|and|but)\b))
          |not\s+(?:present|heard|audible|used|there|included|featured|played)\b)
    | (?:is|are|was|were)n['’]t\s+(?:present|heard|audible|used|there|included|featured|played)\b
    | do(?:es)?(?:\s+not|n['’]t)\s+(?:appear|exist|play)\s*(?=$|[,.;:!?)])
    | (?:absent|missing)\s*(?=$|[,.;:!?)])
    )|:\s*(?:no|none)\b|-(?:free|less)\b|\s+removed\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""A denial of the nouns before it."""
_UNREAL_IF = re.compile(
    r"\bif\s+(?:it|this|that|there|they|these|we|you|i|the\s+\w+|only)(?:\s+\w+)?\s+"
    r"(?:was|were|had|could|would)\b(?!\s+not\s+for)",
    re.IGNORECASE,
)
_WOULD = re.compile(r"\b(?:would|could|might)\b", re.IGNORECASE)
_WISH = re.compile(
    r"\b(?:would|could|should|might)\s+(?:\w+ly\s+)?(?:need|benefit|do\s+with|use\s+(?:a|some|more)"
    r"|have\s+(?:been|had|used)|be\s+(?:better|nice|nicer|improved))\b"
    r"|\bneeds?\s+(?:some\s+)?more\b|\bwish(?:es|ed)?\b",
    re.IGNORECASE,
)
"""A wish for the words after it: "would need more syncopation"."""

_CLAUSE_WORDS = """but just only however although though which yet while whereas because since so
    then when where until if except excepting besides"""
_ENDS_STATEMENT = re.compile(
    _any_of(_CLAUSE_WORDS + " with that plus pero con as_(?:it|they|the|there|this|you|he|she)"),
    re.IGNORECASE,
)
_ENDS_NOUNS = re.compile(
    _any_of(
        _CLAUSE_WORDS
        + """ with that plus pero con as who after before instead other_than apart in on at to for
        from by over behind under during through throughout is are was were has have can could
        giving making leaving letting allowing creating featuring features accompanied played_on
        played_by"""
    ),
    re.IGNORECASE,
)
_STOP = re.compile(r"[,.;:()!?]|\s[-–—]\s")
_NEW_SUBJECT = re.compile(
    r"\b(?:and|or)\s+(?:(?:it|its|it['’]s|this|these|there|they|that|he|she|we|you|i|is|are|was|has"
    r"|have|can|could|makes?|gives?|sounds?|feels?|the|an?|some|also)\b)",
    re.IGNORECASE,
)
"""A new statement, which the denial before it does not include."""
_AND_PHRASE = re.compile(r"\band\s+(?=\S+\s+\S)", re.IGNORECASE)
"""After "no drums", "and bass" is denied too, but not "and soft piano"."""
_BEFORE_SUBJECT = re.compile(
    r"[,.;:()!?]\s*|\s[-–—]\s|"
    + _any_of(_CLAUSE_WORDS + " with has have is are there featuring of"),
    re.IGNORECASE,
)
_ITEM_WORD = (
    r"(?!(?:or|nor|and|the|an?|its?|it['’]s|this|there|they|is|are|has|but|with|just|only|some)\b)"
    r"[\w'’/&-]+"
)
_ITEM = rf"{_ITEM_WORD}(?:\s+{_ITEM_WORD}){{0,3}}"
_MORE_ITEMS = {
    closing: re.compile(
        rf"(?:\s*,\s*(?![A-Z][a-z]){_ITEM})*(?:\s*,)?\s*(?:{closing})\s+(?:any\s+)?{_ITEM}"
    )
    for closing in ("or|nor", "or|nor|and")
}
"""Further items of a list that ends in "or X"; a capital after a comma begins a sentence."""
_SENTENCE_END = re.compile(r"[.;!?]|,\s+(?=[A-Z][a-z])")


def denied_spans(text: str) -> list[Span]:
    """Spans of the words that a text denies or only wishes for; they may overlap.

    >>> text = "No guitar, piano or drums, only strings"
    >>> [text[a:b] for a, b in denied_spans(text)]
    ['guitar, piano or drums']
    """
    return [
        *_scopes_after_denials(text),
        *_scopes_of_exceptions(text),
        *_scopes_before_denials(text),
        *_scopes_of_wishes(text),
    ]


def is_denied(start: int, spans: list[Span]) -> bool:
    """Whether a word that begins at ``start`` is in one of the spans."""
    return any(first <= start < end for first, end in spans)


def _scopes_after_denials(text: str) -> Iterator[Span]:
    """Scopes of denials that come before the words they deny."""
    for match in _NOUNS_AFTER.finditer(text):
        every = not match[0].lower().startswith("no")
        yield match.end(), _nouns_end(text, match.end(), every)
    for match in _VERB_AFTER.finditer(text):
        yield match.end(), _statement_end(text, match.end())
    for match in _NON.finditer(text):
        word = re.compile(r"\w+").match(text, match.end())
        yield match.end(), word.end() if word else match.end()


def _scopes_of_exceptions(text: str) -> Iterator[Span]:
    """Scopes of "everything except drums"; "no instruments except a piano" denies no piano."""
    for match in _EXCEPT.finditer(text):
        if _EVERYTHING.search(text[: match.start()].rpartition(".")[2]):
            yield match.end(), _nouns_end(text, match.end(), every=True)


def _scopes_before_denials(text: str) -> Iterator[Span]:
    """Scopes of denials that come after the words they deny: "the drums are absent"."""
    for match in _ABSENT.finditer(text):
        if match[0].startswith("-"):
            word = re.search(r"[\w'’]+(?:\s[\w'’]+)?$", text[: match.start()])
            yield (word.start() if word else match.start()), match.start()
            continue
        start = 0
        for boundary in _BEFORE_SUBJECT.finditer(text, 0, match.start()):
            start = boundary.end()
        yield start, match.start()


def _scopes_of_wishes(text: str) -> Iterator[Span]:
    """Scopes of wishes and unreal conditions: "if it were slower", "would need more drums"."""
    for match in _UNREAL_IF.finditer(text):
        begins = [m.end() for m in _SENTENCE_END.finditer(text[: match.start()])]
        would = _WOULD.search(text, begins[-1] if begins else 0, match.start())
        yield (would or match).start(), _first_match_or_end(text, match.end(), _SENTENCE_END)
    for match in _WISH.finditer(text):
        yield match.end(), _statement_end(text, match.end())


def _nouns_end(text: str, start: int, every: bool) -> int:
    """End of the denied nouns from ``start`` on; with ``every``, "and" continues a list too."""
    stop, end = (
        _first_match_or_end(text, start, _STOP),
        _first_match_or_end(text, start, _ENDS_NOUNS, _NEW_SUBJECT),
    )
    if not every:
        end = min(end, _first_match_or_end(text, start, _AND_PHRASE))
    if end < stop:
        return end
    closed = re.search(r"\b(?:and|or|nor)\b", text[start:stop])
    more = None if closed else _MORE_ITEMS["or|nor|and" if every else "or|nor"].match(text, stop)
    return more.end() if more else stop


def _statement_end(text: str, start: int) -> int:
    """End of the statement from ``start`` on, with the further items of a list."""
    stop, end = (
        _first_match_or_end(text, start, _STOP),
        _first_match_or_end(text, start, _ENDS_STATEMENT, _NEW_SUBJECT),
    )
    if end < stop:
        return end
    more = _MORE_ITEMS["or|nor"].match(text, stop)
    return more.end() if more else stop


def _first_match_or_end(text: str, start: int, *patterns: re.Pattern[str]) -> int:
    """Position of the first match of any pattern from ``start`` on, or the text's length."""
    found = (pattern.search(text, start) for pattern in patterns)
    return min((match.start() for match in found if match), default=len(text))
