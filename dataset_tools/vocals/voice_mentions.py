"""Whether a text mentions a voice or says that music is instrumental, read with its negations."""

import re


def _any_of(words: str) -> str:
    """Pattern of alternatives, one a word; "_" stands for a space, a hyphen or nothing."""
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
        )
    ),
    re.IGNORECASE,
)
"""Instruments whose names hold a word for voices: "tenor saxophone", "choir pad"."""
_NEGATOR = _any_of(
    r"""no not without w/o sans minus zero never neither nor lack(?:s|ing)? absent absence devoid
    free missing instead rather removed \w+n['’]t sin ning[uú]na?"""
)
_ENDS_NEGATION = _any_of(
    r"""but only just with and until till behind under over when while as to for that which where
    who then is are in on at by after before except because so yet pero con y"""
)
_VOICES = rf"{_VOICE}(?:[ -]+{_VOICE})*"
_NEGATED = re.compile(
    rf"\b(?:(?:{_NEGATOR}\s+(?:of\s+)?(?:(?!{_ENDS_NEGATION}\b)[\w'’/-]+\s+){{0,3}}?|non[ -]?)"
    rf"{_VOICES}(?:(?:\s*,\s*{_VOICES})*,?\s+(?:or|nor)\s+(?:any\s+)?{_VOICES}|\s+and\s+{_VOICES})?"
    rf"|{_VOICES}(?:-?less|-free|\s+removed|:\s*(?:no|none)|\s+free(?!\s+(?:of|from))"
    r"|\s+(?:is|are)\s+(?:absent|missing|removed|not\s+(?:present|heard|used|there))))\b",
    re.IGNORECASE,
)
"""A voice that is denied: with at most three words after "no", or directly before "-less"."""
_MENTIONED = re.compile(rf"\b{_VOICE}\b", re.IGNORECASE)
_INSTRUMENTAL = re.compile(
    r"\b(?:karaoke|instrumental(?!ist)\w*(?![ -](?:intro|outro|break|interlude|section|part|passage"
    r"|bridge|solo|middle|ending)))\b",
    re.IGNORECASE,
)
"""Not "instrumental bridge" and the like: they are parts of songs that have a voice elsewhere."""
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
    return bool(_MENTIONED.search(_NEGATED.sub(" ", _NO_VOICE.sub(" ", text))))


def says_instrumental(text: str) -> bool:
    """Whether the text calls the music instrumental or denies a voice, and mentions none.

    A mentioned voice takes precedence: "an instrumental track with a choir of ahs" has a voice.

    >>> [says_instrumental(t) for t in ("piano, voiceless", "no lyrics, but a choir of voices")]
    [True, False]
    """
    text = _NO_VOICE.sub(" ", text)
    found = _INSTRUMENTAL.search(_NOT_INSTRUMENTAL.sub(" ", text)) or _NEGATED.search(text)
    return bool(found) and not mentions_voice(text)
