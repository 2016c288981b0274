"""Reduce captions to what can be heard: at most two instruments and three descriptors.

Listeners also write what music reminds them of ("suitable for a relaxing afternoon tea"), which
five seconds of sound cannot show. Terms of sound that the lexicon knows are kept, in one spelling
and in the order of the text. Terms of purpose, story and structure are dropped.
"""

import re
from collections.abc import Iterable, Mapping

from .clean import Change, is_mostly_latin
from .lexicon import Lexicon, Mention
from .voice_phrase import VOICE_TERMS

Facets = Mapping[str, Mapping[str, float]]
"""A track's facets: facet to value to probability, 0..1."""

N_INSTRUMENTS = 2
N_DESCRIPTORS = 3
DESCRIPTORS = ("genre", "mood", "tempo", "production", "culture")
"""Facets of descriptors, in order: each gives one term before any gives a second."""
MIN_PROBABILITY = 0.5
"""Terms of the text with a lower probability for the track are left out."""
MIN_ADDED = 0.8
"""Terms that the text lacks are added from this probability on, as long as there is room."""
FALLBACK_WORDS = 20
"""Largest number of words kept of a caption without any known term."""

UNREAD = "first words, as the script is not Latin"
"""Name of the rule for captions that the lexicon cannot read."""

_FIGURATIVE = re.compile(
    r"""\b(?:
      (?:suitable|suited|perfect|perfectly\sfit\w*|ideal|appropriate|great|good|fits?|best|works?\swell)
        \s(?:for|to|in|into|as)
    | (?:can|could|would|might|may)\s(?:also\s|well\s|easily\s|probably\s)?
      (?:be\s(?:used|sampled|played|playing|listened|associated|featured|enjoyed|sung|part\sof)
        |be\s(?:heard|found)\s(?:in|at|on|during)\s(?:an?|the)\s(?!back|distance|intro|beginn|end|mid)
        |come|accompany|listen|fit|imagine|play\sin|go\s(?:well|with)|serve|make\sfor|work
        |hear\s(?:it|this))
    | (?:one|you|people)\s(?:can|could|would|might|may)(?!\s(?:\w+ly\s|also\s)?hear\s(?!it|this))
    | remind\w*|reminiscent|resembl\w+
    | (?<!genre\s)(?:sounds|feels?|seems|sounding|something)\slike
      (?!\s(?:it|this|that|there|they)\s(?:is|are|was|were|has|have)\b)
      (?!\s(?:it|there)['’]s\b)
      (?!(?:\s(?!being|is|are)[^\s,;]+){1,5}?\s(?:is|are|was|were|plays?)\b)
      (?!\s(?:an?\s)?(?:blend|mix|mixture|combination|fusion)\sof\b)
    | makes?\s(?:you|me|one|us)
    | as\sif
    | imagin\w+
    | (?<!instruments\s)(?<!instrument\s)(?<!elements\s)(?<!effects\s)(?<!genres\s)(?<!styles\s)
      (?<!percussion\s)(?<!things\s)(?<!percussions\s)
      like\s(?:an?|the|being|i'm|you're|someone)
    | while\s\w+ing\s(?!an?\b|the\b)
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Beginning of a phrase about the purpose of music or a comparison, which ends with the clause. Not
"instruments like a harp", nor "it sounds like a harp is played"."""
_CLAUSE_END = re.compile(r"[,;:()]|\bbut\b")
_MORE_OF_IT = re.compile(
    r",\s*(?![A-Z][a-z])(?:(?:and|or|an?|the|in|at|as|during|for|to|while|like|such)\b[^,;:()]*"
    r"|[^,;:()]*\bor\b[^,;:()]*|[^,;:()]*(?=,\s*(?:and|or)\b))"
)
"""A further part of a figurative phrase: "for a calm scene, a documentary, or a relaxing cafe"."""


def reduce_caption(
    caption: str, lexicon: Lexicon, facets: Facets | None = None
) -> tuple[str, list[Change]]:
    """Shorten a cleaned caption to at most five terms; also list the change, if any.

    ``facets``, the track's probabilities, removes improbable terms and adds probable ones as long
    as there is room. A caption without any known term keeps its first words.

    >>> from .lexicon import load_lexicon
    >>> reduce_caption("Slow acoustic guitar solo, suitable for a happy tea", load_lexicon())[0]
    'acoustic guitar, slow'
    """
    terms = _sound_mentions(caption, lexicon)
    chosen = _choose_terms(_likely_terms(terms, facets or {}), facets or {})
    if chosen:
        reduced, rule = ", ".join(chosen), "reduced"
    else:
        reduced, rule = _first_words(caption), "first words" if is_mostly_latin(caption) else UNREAD
    return reduced, [Change(rule, caption, reduced)] if reduced != caption else []


def has_known_term(caption: str, lexicon: Lexicon) -> bool:
    """Whether a caption has a term that ``reduce_caption`` keeps, rather than its first words."""
    return bool(_sound_mentions(caption, lexicon))


def _sound_mentions(caption: str, lexicon: Lexicon) -> list[Mention]:
    """Find the terms of sound; those in figurative phrases only if there are no others."""
    mentions = [
        m for m in lexicon.find_mentions(caption) if m.facet in _KEPT_FACETS and not m.negated
    ]
    figurative = [_figurative_span(caption, match) for match in _FIGURATIVE.finditer(caption)]
    literal = [m for m in mentions if not any(a <= m.start < b for a, b in figurative)]
    return literal or mentions


def _figurative_span(caption: str, match: re.Match[str]) -> tuple[int, int]:
    """Start and end of the figurative phrase that ``match`` begins."""
    found = _CLAUSE_END.search(caption, match.end())
    end = found.start() if found else len(caption)
    while more := _MORE_OF_IT.match(caption, end):
        end = more.end()
    return match.start(), end


Term = tuple[str, str]
"""(facet, value)."""
_KEPT_FACETS = ("instrument", *DESCRIPTORS)


def _likely_terms(mentions: Iterable[Mention], facets: Facets) -> list[Term]:
    """List distinct terms in the order of the text, without improbable and more general ones.

    If all are improbable, all count as probable.
    """
    terms = list(dict.fromkeys((m.facet, m.value) for m in mentions))
    likely = [(f, v) for f, v in terms if facets.get(f, {}).get(v, 1.0) >= MIN_PROBABILITY] or terms
    return [term for term in likely if not any(is_kind_of(other, term) for other in likely)]


def is_kind_of(special: Term, general: Term) -> bool:
    """Whether ``special`` implies ``general``: "electric guitar" implies "guitar"."""
    if special == ("instrument", "bass guitar"):
        return general == ("instrument", "bass")
    if general == ("instrument", "beat"):
        return special in (("instrument", "drums"), ("instrument", "drum machine"))
    return special[0] == general[0] and special[1].endswith(f" {general[1]}")


def _choose_terms(terms: list[Term], facets: Facets) -> list[str]:
    """Choose instruments, then descriptors; in the order of the text, added terms last."""
    probable = _terms_to_add(facets)
    instruments = _choose_instruments([term for term in terms if term[0] == "instrument"])
    more = [term for term in probable if term[0] == "instrument"]
    instruments = _add_terms(instruments, more, N_INSTRUMENTS)
    descriptors = _round_robin([term for term in terms if term[0] != "instrument"])[:N_DESCRIPTORS]
    descriptors.sort(key=terms.index)
    descriptors = _add_terms(
        descriptors, [t for t in probable if t[0] != "instrument"], N_DESCRIPTORS
    )
    return [value for _, value in instruments + descriptors]


def _choose_instruments(instruments: list[Term]) -> list[Term]:
    """Keep the first two instruments, a voice among them if there is one.

    Captions of regularisation clips must name the voice.
    """
    voices = [term for term in instruments if term[1] in VOICE_TERMS]
    others = [term for term in instruments if term not in voices]
    voices = voices[: max(1, N_INSTRUMENTS - len(others))]
    kept = voices + others[: N_INSTRUMENTS - len(voices)]
    return sorted(kept, key=instruments.index)


def _terms_to_add(facets: Facets) -> list[Term]:
    """List terms probable enough to add, the most probable first, equal ones by name."""
    terms = [
        (-probability, facet, value)
        for facet in _KEPT_FACETS
        for value, probability in facets.get(facet, {}).items()
        if probability >= MIN_ADDED
    ]
    return [(facet, value) for _, facet, value in sorted(terms)]


def _add_terms(terms: list[Term], candidates: Iterable[Term], limit: int) -> list[Term]:
    """Terms followed by candidates that no term implies or is implied by, ``limit`` in all."""
    for term in candidates:
        known = any(term == t or is_kind_of(t, term) or is_kind_of(term, t) for t in terms)
        if len(terms) < limit and not known:
            terms = [*terms, term]
    return terms


def _round_robin(terms: list[Term]) -> list[Term]:
    """Put the first term of every facet before the second of any."""
    nth: dict[str, int] = {}
    ranked = []
    for term in terms:
        nth[term[0]] = nth.get(term[0], 0) + 1
        ranked.append((nth[term[0]], DESCRIPTORS.index(term[0]), term))
    return [term for _, _, term in sorted(ranked, key=lambda r: r[:2])]


def _first_words(caption: str) -> str:
    """Keep the first parts, up to 20 words in all; if the first is longer, its first 20 words."""
    kept: list[str] = []
    for part in caption.split(", "):
        if sum(len(p.split()) for p in [*kept, part]) > FALLBACK_WORDS:
            break
        kept.append(part)
    return ", ".join(kept) or " ".join(caption.split()[:FALLBACK_WORDS])
