"""Over-caption reduction: one or two instruments and two or three descriptors.

Listeners write what music reminds them of ("suitable for a relaxing afternoon tea"); five seconds
of sound can bear out only what is heard. Words that a lexicon knows as sound are kept, written one
way, in the order of the text; what the music is for, what it tells and how it is built are dropped.
"""

import re
from collections.abc import Iterable, Mapping

from .clean import Change
from .lexicon import Lexicon, Mention
from .voice import VOICE

Facets = Mapping[str, Mapping[str, float]]
"""For a track: facet to value to its probability, 0..1."""

N_INSTRUMENTS = 2
N_DESCRIPTORS = 3
DESCRIPTORS = ("genre", "mood", "tempo", "production", "culture")
"""Facets of descriptors; each gives one before any gives a second, in this order."""
DOUBTED = 0.5
"""A term of the text is left out where the track's probability of it is below this."""
TRUSTED = 0.8
"""A term that the text lacks is added to a free place from this probability on."""
FALLBACK_WORDS = 20

_IMAGE = re.compile(
    r"""\b(?:
      (?:suitable|suited|perfect|perfectly\sfit\w*|ideal|appropriate|great|good|fits?)\s(?:for|to|in|into)
    | (?:can|could|would|might|may)\s(?:also\s|well\s)?
      (?:be\s(?:used|heard|played|listened|associated|featured)|come|accompany|listen|fit|imagine)
    | (?:one|you|people)\scan
    | remind\w*|reminiscent
    | (?<!genre\s)(?:sounds|feels?|seems|sounding|something)\slike
    | makes?\s(?:you|me|one|us)
    | as\sif
    | imagin\w+
    | like\s(?:an?|the|being|i'm|you're|someone)
    | while\s\w+ing
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Begins words about what the music is for or like; they reach to the next comma."""
_CLAUSE_END = re.compile(r"[,;:()]|\bbut\b")


def reduce(
    caption: str, lexicon: Lexicon, facets: Facets | None = None
) -> tuple[str, list[Change]]:
    """Shorten a cleaned caption to at most five terms; unchanged text gives no change.

    ``facets``, the track's probabilities, leaves out what is doubted and fills free places with
    what other evidence is sure of. A caption without any known term keeps its first words.

    >>> from .lexicon import load_lexicon
    >>> reduce("Slow acoustic guitar solo, suitable for a happy afternoon tea", load_lexicon())[0]
    'acoustic guitar, slow'
    """
    terms = _terms(caption, lexicon)
    chosen = _choose(_likely(terms, facets or {}), facets or {})
    reduced, rule = (
        (", ".join(chosen), "reduced") if chosen else (_first_words(caption), "first words")
    )
    return reduced, [Change(rule, caption, reduced)] if reduced != caption else []


def is_known(caption: str, lexicon: Lexicon) -> bool:
    """Whether a caption has a term of sound, and ``reduce`` more to go by than its first words."""
    return bool(_terms(caption, lexicon))


def _terms(caption: str, lexicon: Lexicon) -> list[Mention]:
    """Find what the text says is heard; what it likens the music to only if that is nothing."""
    mentions = [m for m in lexicon.find(caption) if m.facet in _PLACES and not m.negated]
    images = [_image_span(caption, match) for match in _IMAGE.finditer(caption)]
    heard = [m for m in mentions if not any(a <= m.start < b for a, b in images)]
    return heard or mentions


def _image_span(caption: str, match: re.Match[str]) -> tuple[int, int]:
    end = _CLAUSE_END.search(caption, match.end())
    return match.start(), end.start() if end else len(caption)


Term = tuple[str, str]
"""Facet and value."""
_PLACES = ("instrument", *DESCRIPTORS)


def _likely(mentions: Iterable[Mention], facets: Facets) -> list[Term]:
    """List distinct terms in the order of the text, without doubted ones and more general ones."""
    terms = list(dict.fromkeys((m.facet, m.value) for m in mentions))
    likely = [(f, v) for f, v in terms if facets.get(f, {}).get(v, 1.0) >= DOUBTED] or terms
    return [term for term in likely if not any(_is_kind_of(other, term) for other in likely)]


def _is_kind_of(special: Term, general: Term) -> bool:
    """Whether one term says all the other does: "electric guitar" and "guitar"."""
    if special == ("instrument", "bass guitar"):
        return general == ("instrument", "bass")
    if general == ("instrument", "beat"):
        return special in (("instrument", "drums"), ("instrument", "drum machine"))
    return special[0] == general[0] and special[1].endswith(f" {general[1]}")


def _choose(terms: list[Term], facets: Facets) -> list[str]:
    """Take instruments, then descriptors; each kind in the order of the text, added ones last."""
    sure = _sure(facets)
    instruments = _with_voice([term for term in terms if term[0] == "instrument"])
    more = [term for term in sure if term[0] == "instrument"]
    instruments = _filled(instruments, more, N_INSTRUMENTS)
    descriptors = _in_turn([term for term in terms if term[0] != "instrument"])[:N_DESCRIPTORS]
    descriptors.sort(key=terms.index)
    descriptors = _filled(descriptors, [t for t in sure if t[0] != "instrument"], N_DESCRIPTORS)
    return [value for _, value in instruments + descriptors]


def _with_voice(instruments: list[Term]) -> list[Term]:
    """Take the first instruments, a voice always: it is what regularisation clips differ by."""
    voices = [term for term in instruments if term[1] in VOICE][:1]
    others = [term for term in instruments if term not in voices]
    return sorted(voices + others[: N_INSTRUMENTS - len(voices)], key=instruments.index)


def _sure(facets: Facets) -> list[Term]:
    """List trusted terms, the most probable first, equal ones by name."""
    terms = [
        (-probability, facet, value)
        for facet in _PLACES
        for value, probability in facets.get(facet, {}).items()
        if probability >= TRUSTED
    ]
    return [(facet, value) for _, facet, value in sorted(terms)]


def _filled(terms: list[Term], more: Iterable[Term], places: int) -> list[Term]:
    for term in more:
        known = any(term == t or _is_kind_of(t, term) or _is_kind_of(term, t) for t in terms)
        if len(terms) < places and not known:
            terms = [*terms, term]
    return terms


def _in_turn(terms: list[Term]) -> list[Term]:
    """Put the first term of every facet before the second of any."""
    nth: dict[str, int] = {}
    ranked = []
    for term in terms:
        nth[term[0]] = nth.get(term[0], 0) + 1
        ranked.append((nth[term[0]], DESCRIPTORS.index(term[0]), term))
    return [term for _, _, term in sorted(ranked, key=lambda r: r[:2])]


def _first_words(caption: str) -> str:
    """Keep whole comma parts up to 20 words in all, and of a first longer one its beginning."""
    kept: list[str] = []
    for part in caption.split(", "):
        if sum(len(p.split()) for p in [*kept, part]) > FALLBACK_WORDS:
            break
        kept.append(part)
    return ", ".join(kept) or " ".join(caption.split()[:FALLBACK_WORDS])
