"""Take what is said of voices out of a caption: training clips are instrumental.

Voice is whatever a mouth makes with words or in their place: singing, rap, speech, choirs,
screams, humming, vocal samples, vocoders, and lyrics. Whistling stays (no voice is in it), and so
do "song", "ballad" and "chorus", which people say of instrumental music too.

Denials go as well: CLIP hardly reads "no", so "no vocals" would call voices forth. The word
"instrumental" stays: it is true of the clip, and sets it apart from the vocal regularisation.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .clean import Change, apply_rules
from .lexicon import Lexicon, Mention

VOICE = frozenset(
    "voice,choir,spoken word,vocoder,vocal samples,beatboxing,rap,opera,singer-songwriter".split(
        ","
    )
)
"""Values of the lexicon, instruments and genres, that are made of voice."""
REMAINDER = "instrumental"
"""What is left of a caption that spoke of the voice alone."""
SOUND_FACETS = ("instrument", "genre", "mood", "tempo", "production", "culture")

_PART = re.compile(r"(\s*[,;:()]\s*|\s+[-–—]\s+)")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|&")
_PEOPLE = frozenset("male female man men woman women boy girl guy lady".split())
_QUALITIES = _PEOPLE | frozenset(
    """kid kids child children young old main principal lead leading backing background foreground
    group raspy husky gruff hoarse breathy guttural nasal whiny throaty smoky shaky quivering warbly
    croaky pitched high low monotone harmonised harmonized catchy generic good great more language
    accent sounding pleasant slurred typical distant occasional prominent half other worldly
    other-worldly very quite rather slightly bit kind type lots lot of english-speaking texture
    strained passionate rapid band well processing sampled""".split()
)
_DETERMINERS = frozenset(
    "a an the some his her their its this that no not any one two both only just".split()
)
_LINKS = frozenset(
    """with without featuring features feature has have having and plus by over in on top along
    accompanied as including includes contains containing using uses performed to for under behind
    around between supplemented joined followed quickly supported supporting backed like through
    from lacks lacking missing is are was be can could there present it which who that then also or
    nor but joins where when while comes into starting at alongside & introduces
    introduced punctuated based makes make adding adds driven underneath complement accompanying
    used doesn't""".split()
)
"""Words that lead up to a voice, and have no one to lead to once it is gone."""
_KEPT_LINKS = frozenset("with featuring features has over using and by".split())
_GOES_ON = re.compile(
    r"(with|over|accompanied|accompanying|backed|featuring|alongside|on top of|supported|joined"
    r"|using|along with|as well as|followed|surrounded)\b",
    re.IGNORECASE,
)
_AND = re.compile(r"(?:and|or|plus|&|as well as|also|but|then)\s+", re.IGNORECASE)
_VERB = re.compile(r"(?:is|are|has|was|can|could|makes?)\b", re.IGNORECASE)
_SONG = re.compile(
    r"[\s/-]+(?!(?:vocal|voice|sing|lyric|verse|part|on top)\w*)[^\W_]", re.IGNORECASE
)
"""What a genre that implies a voice may stand before: "rap song", not "rap verses"."""
_HEADS = frozenset("song songs track piece music tune version".split())
"""Nouns that are no adjective of a voice, though they may stand before one."""
_COMPLEMENT = re.compile(
    r"""\s*(?:
      (?:also\s|that\s|who\s|which\s)?(?:is\s|are\s)?  # what the voice does, until something else
      (?:singing|sings|sung|talk(?:s|ing)|speaking|telling|expressing|echoing|repeating|saying
        |delivering|lamenting|performing|about|contain\w*|around|harmoni\w+)\b
      (?:(?!\b(?:and|with|over|but|while|accompanied|backed|featuring|on)\b).)*
    | (?:not\s)?in\s(?:english|french|spanish|german|italian|portuguese|japanese)\b
    | (?:not\s)?in\san?\s\w+\slanguage\b
    | (?:by|from|of)\s(?:an?\s|the\s)?(?:\w+\s)?
      (?:man|woman|girl|boy|guy|male|female|artist|duo|lady)\b
    | (?:in|to|at|towards)\s(?:the\s)?
      (?:background|foreground|front|back|middle|end|beginning|start)\b
    | on\stop\b(?!\sof)
    | (?:sound|line|part|melody|texture|performance|effect|track|sample|solo|delivery|tone|style
        |timbre|verse|licks?|arrangement|piece)s?\b
    | \w+ly\b )""",
    re.IGNORECASE | re.VERBOSE,
)  # fmt: skip


def without_voice(text: str, lexicon: Lexicon) -> tuple[str, list[Change]]:
    """Take voices out of a cleaned caption; the second value is what each rule did.

    Never empty unless ``text`` is: where nothing else was said, "instrumental" is left.

    >>> from .lexicon import load_lexicon
    >>> without_voice("Folk song with a raspy male voice and banjo, no drums", load_lexicon())[0]
    'Folk song with banjo, no drums'
    """
    if not voices(text, lexicon):
        return text, []
    rules = {
        "no voice": lambda t: _by_part(t, lambda part: _cut_all(part, lexicon, negated=True)),
        "voice": lambda t: _by_part(t, lambda part: _cut_all(part, lexicon, negated=False)),
        "all about the voice": lambda t: _by_part(t, lambda part: _without_rest(part, lexicon)),
        "nothing but the voice": lambda t: t or REMAINDER,
    }
    return apply_rules(text, rules)


def voices(text: str, lexicon: Lexicon) -> list[Mention]:
    """Mentions of a voice, denied ones too."""
    return [mention for mention in lexicon.find(text) if mention.value in VOICE]


def _by_part(text: str, edit: Callable[[str], str]) -> str:
    """Edit what lies between commas and the like; what is left empty goes with its comma.

    Text in which no part changes comes back as it was.
    """
    pieces = _PART.split(text)
    parts = [edit(part) for part in pieces[::2]]
    if parts == pieces[::2]:
        return text
    return ", ".join(part for part in parts if part)


def _cut_all(part: str, lexicon: Lexicon, *, negated: bool) -> str:
    """Cut the voices of a part, one after the other."""
    while found := [m for m in voices(part, lexicon) if m.negated == negated]:
        part = _cut(part, found[0], lexicon)
    return part


def _without_rest(part: str, lexicon: Lexicon) -> str:
    """Keep of a part that still speaks of a singer or a voice only the terms of sound in it."""
    words = {word.lower() for word in _WORD.findall(part)}
    if not (words & _PEOPLE or voices(part, lexicon)):
        return part
    return _terms(part, lexicon)


def _terms(text: str, lexicon: Lexicon) -> str:
    """List the terms of sound in a text, as it writes them."""
    terms = [
        text[mention.start : mention.end]
        for mention in lexicon.find(text)
        if mention.facet in SOUND_FACETS and mention.value not in VOICE and not mention.negated
    ]
    return ", ".join(dict.fromkeys(terms))


@dataclass(frozen=True)
class _Phrase:
    """Where the words that go with a voice begin and end, and the link that they hung by."""

    start: int
    end: int
    link: str


def _cut(part: str, mention: Mention, lexicon: Lexicon) -> str:
    """Cut one voice with its adjectives, what it does, and the links that would hang loose."""
    if mention.facet == "genre" and _SONG.match(part, mention.end):
        return part[: mention.start] + part[mention.end :].lstrip()
    phrase = _phrase(part, mention, lexicon)
    before, after = part[: phrase.start].strip(), part[phrase.end :].strip()
    if mention.negated and re.match(r"(?:and|or|nor)\b", after):  # "no vocals or drums"
        after = re.sub(r"^.*?(?=\b(?:but|with|just)\b|$)", "", after)
    if not before:
        return _beginning(after, lexicon)
    if joint := _AND.match(after):
        rest = after[joint.end() :]
        if _GOES_ON.match(rest):
            return f"{before} {rest}"
        link = "that" if _VERB.match(rest) else phrase.link or joint[0].strip()
        return f"{before} {link} {rest}"
    if not after or _GOES_ON.match(after):
        return f"{before} {after}".strip()
    rest = _beginning(after, lexicon)
    return f"{before}, {rest}" if rest else before


def _beginning(after: str, lexicon: Lexicon) -> str:
    """Make what followed a voice stand alone; what it did itself goes, but for terms of sound."""
    joined = False
    while joint := _AND.match(after) or _GOES_ON.match(after):
        joined, after = (
            True,
            re.sub(r"^(?:by|with|of|a|an|the)\s+", "", after[joint.end() :].strip()),
        )
    starts_with_term = any(mention.start == 0 for mention in lexicon.find(after))
    return after if joined or starts_with_term else _terms(after, lexicon)


def _phrase(part: str, mention: Mention, lexicon: Lexicon) -> _Phrase:
    words = [m for m in _WORD.finditer(part) if m.start() < mention.start]
    while words and words[-1].end() > mention.start:
        words.pop()
    del words[_first_adjective(words, part, lexicon) :]
    link = ""
    while words and words[-1][0].lower() in _DETERMINERS | _LINKS | _PEOPLE:
        if (name := words.pop()[0].lower()) in _KEPT_LINKS:
            link = name
    end = mention.end
    while more := _COMPLEMENT.match(part, end):
        end = more.end()
    return _Phrase(words[-1].end() if words else 0, end, link)


def _first_adjective(words: list[re.Match[str]], part: str, lexicon: Lexicon) -> int:
    """Where in the words before a voice those begin that describe it.

    Words of voices, moods and the like do; so do up to three others between "a" or "with", or where
    the part begins, and the voice, unless they are musical terms: "a salient voice".
    """
    names = [word[0].lower() for word in words]
    adjectives, terms = _term_words(part, lexicon)
    is_adjective = [
        name in _QUALITIES or name.endswith("ly") or word.start() in adjectives
        for name, word in zip(names, words, strict=True)
    ]
    first = len(words)
    while first:
        before = first - 1
        if is_adjective[before]:
            first = before
        elif names[before] in ("and", "or") and before and is_adjective[before - 1]:
            leads = names[before - 2] if before > 1 else ""
            if names[before - 1] not in _PEOPLE and leads not in _DETERMINERS | _KEPT_LINKS:
                break
            first = before
        else:
            break
    for i in range(first - 1, max(-1, first - 4), -1):
        if names[i] in _DETERMINERS | _KEPT_LINKS:
            return i + (names[i] in _KEPT_LINKS)
        if names[i] in _LINKS | _HEADS or words[i].start() in terms:
            return first
    return first if first > 3 else 0


def _term_words(part: str, lexicon: Lexicon) -> tuple[frozenset[int], frozenset[int]]:
    """Where words begin that may describe a voice, as "soft" and "French" do, and that may not."""
    facets = ("mood", "tempo", "production", "culture")
    starts: dict[bool, set[int]] = {True: set(), False: set()}
    for mention in lexicon.find(part):
        words = _WORD.finditer(part, mention.start, mention.end)
        starts[mention.facet in facets].update(word.start() for word in words)
    return frozenset(starts[True]), frozenset(starts[False])
