"""Remove mentions of voices from a caption, because training clips are instrumental.

Voices are singing, rap, speech, choirs, screams, humming, vocal samples, vocoders, and lyrics.
Whistling is none and stays; so do "song", "ballad" and "chorus", which instrumental music has too.

Denials are removed as well: CLIP hardly understands "no", so "no vocals" would suggest voices. The
word "instrumental" stays: it is true, and distinguishes the clip from vocal regularisation clips.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from .clean import Change, apply_rules
from .lexicon import Lexicon, Mention

VOICE_TERMS = frozenset(
    "voice,choir,spoken word,vocoder,vocal samples,beatboxing,rap,opera,singer-songwriter".split(
        ","
    )
)
"""Instruments and genres of the lexicon that are voices."""
REMAINDER = "instrumental"
"""Caption of a clip whose caption was only about the voice."""
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
"""Words that connect a voice with the words before it; they are removed with it."""
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
"""Follows a genre that is also a voice, if only the genre is to be removed: "rap song"."""
_HEADS = frozenset("song songs track piece music tune version".split())
"""Nouns that may stand before a voice but do not describe it."""
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
    """Remove voices from a cleaned caption; returns the caption and the change made by each rule.

    If nothing else is left, the caption is "instrumental".

    >>> from .lexicon import load_lexicon
    >>> without_voice("Folk song with a raspy male voice and banjo, no drums", load_lexicon())[0]
    'Folk song with banjo, no drums'
    """
    if not voice_mentions(text, lexicon):
        return text, []
    rules = {
        "no voice": lambda t: _by_part(t, lambda part: _cut_all(part, lexicon, negated=True)),
        "voice": lambda t: _by_part(t, lambda part: _cut_all(part, lexicon, negated=False)),
        "all about the voice": lambda t: _by_part(t, lambda part: _without_rest(part, lexicon)),
        "nothing but the voice": lambda t: t or REMAINDER,
    }
    return apply_rules(text, rules)


def voice_mentions(text: str, lexicon: Lexicon) -> list[Mention]:
    """Mentions of a voice, also denied ones."""
    return [mention for mention in lexicon.find(text) if mention.value in VOICE_TERMS]


def _by_part(text: str, edit: Callable[[str], str]) -> str:
    """Edit each part between commas and the like; parts that become empty are dropped.

    If no part changes, the text is returned unchanged.
    """
    pieces = _PART.split(text)
    parts = [edit(part) for part in pieces[::2]]
    if parts == pieces[::2]:
        return text
    return ", ".join(part for part in parts if part)


def _cut_all(part: str, lexicon: Lexicon, *, negated: bool) -> str:
    """Remove the voices of a part, one after the other."""
    while found := [m for m in voice_mentions(part, lexicon) if m.negated == negated]:
        part = _remove_mention(part, found[0], lexicon)
    return part


def _without_rest(part: str, lexicon: Lexicon) -> str:
    """If a part still mentions a singer or a voice, keep only its terms of sound."""
    words = {word.lower() for word in _WORD.findall(part)}
    if not (words & _PEOPLE or voice_mentions(part, lexicon)):
        return part
    return _sound_terms(part, lexicon)


def _sound_terms(text: str, lexicon: Lexicon) -> str:
    """List the terms of sound in a text, in its own spelling."""
    terms = [
        text[mention.start : mention.end]
        for mention in lexicon.find(text)
        if mention.facet in SOUND_FACETS
        and mention.value not in VOICE_TERMS
        and not mention.negated
    ]
    return ", ".join(dict.fromkeys(terms))


@dataclass(frozen=True)
class _Phrase:
    """Start and end of the words that belong to a voice, and the link word before them."""

    start: int
    end: int
    link: str


def _remove_mention(part: str, mention: Mention, lexicon: Lexicon) -> str:
    """Remove one voice with its adjectives, its verbs, and the words that linked it to the rest."""
    if mention.facet == "genre" and _SONG.match(part, mention.end):
        return part[: mention.start] + part[mention.end :].lstrip()
    phrase = _voice_phrase(part, mention, lexicon)
    before, after = part[: phrase.start].strip(), part[phrase.end :].strip()
    if mention.negated and re.match(r"(?:and|or|nor)\b", after):  # "no vocals or drums"
        after = re.sub(r"^.*?(?=\b(?:but|with|just)\b|$)", "", after)
    if not before:
        return _own_part(after, lexicon)
    if joint := _AND.match(after):
        rest = after[joint.end() :]
        if _GOES_ON.match(rest):
            return f"{before} {rest}"
        link = "that" if _VERB.match(rest) else phrase.link or joint[0].strip()
        return f"{before} {link} {rest}"
    if not after or _GOES_ON.match(after):
        return f"{before} {after}".strip()
    rest = _own_part(after, lexicon)
    return f"{before}, {rest}" if rest else before


def _own_part(after: str, lexicon: Lexicon) -> str:
    """Turn the words after a removed voice into a part of their own.

    If they only describe what the voice did, their terms of sound are kept.
    """
    joined = False
    while joint := _AND.match(after) or _GOES_ON.match(after):
        joined, after = (
            True,
            re.sub(r"^(?:by|with|of|a|an|the)\s+", "", after[joint.end() :].strip()),
        )
    starts_with_term = any(mention.start == 0 for mention in lexicon.find(after))
    return after if joined or starts_with_term else _sound_terms(after, lexicon)


def _voice_phrase(part: str, mention: Mention, lexicon: Lexicon) -> _Phrase:
    """The span of a mentioned voice with its adjectives, verbs and linking words."""
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
    """Index of the first word before a voice that describes it.

    Words about voices, moods and the like describe it. So do up to three other words after "a",
    "with" or the beginning of the part, unless they are musical terms: "a salient voice".
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
    """Positions of words in terms that may describe a voice ("soft", "French"), and in others."""
    facets = ("mood", "tempo", "production", "culture")
    starts: dict[bool, set[int]] = {True: set(), False: set()}
    for mention in lexicon.find(part):
        words = _WORD.finditer(part, mention.start, mention.end)
        starts[mention.facet in facets].update(word.start() for word in words)
    return frozenset(starts[True]), frozenset(starts[False])
