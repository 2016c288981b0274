"""Whether a text mentions a voice or says that music is instrumental, read with its negations."""

import re
from collections.abc import Iterator

from ..denials import denied_spans, is_denied


def _any_of(words: str) -> str:
    """Regex source of alternatives, separated by spaces; "_" is a space, a hyphen or nothing."""
    return "(?:" + "|".join(words.replace("_", "[ -]?").split()) + ")"


_VOICE = _any_of(
    r"""voca+l\w* vox voices? (?:fe)?male a_cappella acapp?ella vocod\w+ auto_tun\w+
    sing(?:s|ing|ers?)? sang sung singed lyrics? humm(?:ing|ed) rap(?:s|ping|ped|pers?)?
    rapping_ish choirs? choral chorist\w* chant(?:s|ing|ed)? spoken speaking speech(?:es)? talking
    narrat(?:es|ed|ing|ion|ors?) whisper\w* shout\w* scream(?:s|ed|ing) growl\w* yell(?:s|ing|ed)
    croon\w* yodel\w* beat_box\w* falsettos? scat melisma\w* mcs? (?:mezzo_)?sopranos? tenors?
    baritones? operatic arias?
    (?:english|french|spanish|german|italian|portuguese|russian|slavic|japanese)_language
    in_(?:english|french|spanish|german|italian|portuguese)(?!_(?:style|folk|tradition|music))
    voz voces vocales cantantes? cantad[oa]s? canta[nr]? cantando letras? coros? rapea\w*
    hablad\w+"""
)
_NO_VOICE = re.compile(
    "|".join(
        (
            r"\b(?:vocal|voice|choir|singing)[ -](?:like|ish|esque)\b",
            r"\bsynth\w*[ -](?:choirs?|voices?)\b",
            r"\b(?:choir|voice|vocal|vox)[ -](?:pads?|synth\w*|patch\w*)\b",
            r"\bsinging[ -](?:bowl|saw|glass)\w*|\btalking[ -]drums?\b",
            r"\b(?:soprano|tenor|baritone)s?(?: and alto)?[ -]"
            r"(?:sax\w*|horn|guitar|recorder|uke\w*|banjo)",
            r"\b(?:scream|growl|talk|sing|shout|whisper)ing (?:\w+ )?"
            r"(?:guitars?|synth\w*|leads?|bass\w*|solos?|organ|sax\w*|violins?|strings|winds?)\b",
            r"\b(?:pianos?|guitars?|violins?|cellos?|flutes?|strings|sax\w*|trumpets?|harps?|bass)"
            r"\s+(?:\w+ly\s+|that\s+)?sings?\b",
            r"\b(?:one|you|people|listeners?|we|i|everyone|anyone)\s+(?:can|could|may|might|would"
            r"|wants?|will)\s+(?:\w+\s+){0,2}?(?:sing|hum|chant|shout)\b(?:\s+along)?",
            r"\b(?:easy|nice|fun|want|desire|like|hard)\s+to\s+(?:sing|hum)\b(?:\s+along)?",
        )
    ),
    re.IGNORECASE,
)
"""Instruments whose names hold a word for voices ("choir pad"), and listeners who may sing."""
_MENTIONED = re.compile(rf"\b{_VOICE}\b", re.IGNORECASE)
_INSTRUMENTAL = re.compile(
    r"\b(?:karaoke|(?:voice|vocal|lyric)less|vocals?\s+free(?!\s+(?:of|from))"
    r"|instrumental(?!ist)\w*(?![ -](?:intro|outro|break|interlude|section|part|passage"
    r"|bridge|solo|middle|ending)))\b",
    re.IGNORECASE,
)
"""Not "instrumental bridge" and the like: they are parts of songs that have a voice elsewhere."""
_VOICE_FREE = re.compile(r"\bvocals?\s+free(?!\s+(?:of|from))\b", re.IGNORECASE)
_NOT_INSTRUMENTAL = re.compile(
    r"\b(?:not|non|n['’]t|more|less|half)[ -](?:an? |fully |purely )?instrumentals?\b",
    re.IGNORECASE,
)
SUNG_GENRE = re.compile(
    r"\b"
    + _any_of("singer_songwriter gospel opera chanson doo_wop barbershop vocaloid gangsta grime")
    + r"\b",
    re.IGNORECASE,
)
"""Genres whose music has a voice."""


def mentions_voice(text: str) -> bool:
    """Whether the text mentions singing, speech or a singer without denying it.

    >>> [mentions_voice(t) for t in ("no drums, soft vocals", "rock without vocals or rap")]
    [True, False]
    """
    return not all(_denials_of_mentions(text))


def says_instrumental(text: str) -> bool:
    """Whether the text calls the music instrumental or denies a voice, and mentions none.

    A mentioned voice takes precedence: "an instrumental track with a choir of ahs" has a voice.

    >>> [says_instrumental(t) for t in ("piano, voiceless", "no lyrics, but a choir of voices")]
    [True, False]
    """
    denials = list(_denials_of_mentions(text))
    named = _INSTRUMENTAL.search(_NOT_INSTRUMENTAL.sub(" ", text))
    return all(denials) and bool(denials or named)


def _denials_of_mentions(text: str) -> Iterator[bool]:
    """Yield for each mention of a voice whether it is denied."""
    text = _NO_VOICE.sub(" ", _VOICE_FREE.sub(" ", text))
    denied = denied_spans(text)
    return (is_denied(match.start(), denied) for match in _MENTIONED.finditer(text))
