"""What words, tags, flags and windows say about a voice: labelling functions for the label model.

Each answers, for the evidence of a track, 1 (a voice), -1 (instrumental) or 0 (abstains). None of
them decides: how far each is to be trusted is learnt, see ``dataset_tools/vocals/gate.py``.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .evidence import Evidence

HEARD_VOICE, HEARD_NONE = 0.9, 0.4
"""The classifier votes for a voice above the one, against it below the other."""


def _any_of(words: str) -> str:
    """One alternative a word, each a small pattern; "_" is a space, a hyphen or nothing."""
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
_SOUNDS_LIKE_ONE = re.compile(
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
"""Instruments that borrow a singer's word."""
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
"""A voice that is denied: at most three words after "no", or before "-less"."""
_MENTIONED = re.compile(rf"\b{_VOICE}\b", re.IGNORECASE)
_INSTRUMENTAL = re.compile(
    r"\b(?:karaoke|instrumental(?!ist)\w*(?![ -](?:intro|outro|break|interlude|section|part|passage"
    r"|bridge|solo|middle|ending)))\b",
    re.IGNORECASE,
)
"""An instrumental bridge is one of a song that has more than instruments."""
_HARDLY_INSTRUMENTAL = re.compile(
    r"\b(?:not|non|n['’]t|more|less|half)[ -](?:an? |fully |purely )?instrumentals?\b",
    re.IGNORECASE,
)
_SUNG_GENRE = re.compile(
    r"\b"
    + _any_of("singer_songwriter gospel opera chanson doo_wop barbershop vocaloid gangsta grime")
    + r"\b",
    re.IGNORECASE,
)


def mentions_voice(text: str) -> bool:
    """Whether the text speaks of singing, speech or a singer without denying it.

    >>> [mentions_voice(t) for t in ("no drums, soft vocals", "rock without vocals or rap")]
    [True, False]
    """
    return bool(_MENTIONED.search(_NEGATED.sub(" ", _SOUNDS_LIKE_ONE.sub(" ", text))))


def says_instrumental(text: str) -> bool:
    """Whether the text calls the music instrumental or denies a voice, and mentions none.

    A voice that is mentioned counts for more: "an instrumental track with a choir of ahs" has one.

    >>> [says_instrumental(t) for t in ("piano, voiceless", "no lyrics, but a choir of voices")]
    [True, False]
    """
    said = _SOUNDS_LIKE_ONE.sub(" ", text)
    called = _INSTRUMENTAL.search(_HARDLY_INSTRUMENTAL.sub(" ", said)) or _NEGATED.search(said)
    return bool(called) and not mentions_voice(text)


def own_caption_voice(evidence: Evidence) -> int:
    """Vote for a voice if the first caption mentions one."""
    return int(any(map(mentions_voice, evidence.captions[:1])))


def own_caption_instrumental(evidence: Evidence) -> int:
    """Vote against a voice if the first caption says instrumental."""
    return -int(any(map(says_instrumental, evidence.captions[:1])))


def other_caption_voice(evidence: Evidence) -> int:
    """Vote for a voice if one of the further captions mentions one."""
    return int(any(map(mentions_voice, evidence.captions[1:])))


def other_caption_instrumental(evidence: Evidence) -> int:
    """Vote against a voice if one of the further captions says instrumental."""
    return -int(any(map(says_instrumental, evidence.captions[1:])))


def tag_voice(evidence: Evidence) -> int:
    """Vote for a voice if a tag names one: ``instrument---voice``, "female vocals", "rap"."""
    return int(any(map(mentions_voice, _words_of(evidence.tags))))


def tag_sung_genre(evidence: Evidence) -> int:
    """Vote for a voice if a tag names a genre that is sung: ``genre---singersongwriter``."""
    return int(any(map(_SUNG_GENRE.search, _words_of(evidence.tags))))


def tag_instrumental(evidence: Evidence) -> int:
    """Vote against a voice if a tag says instrumental: ``genre---instrumentalpop``, "no vocals"."""
    return -int(any(map(says_instrumental, _words_of(evidence.tags))))


def lyrics(evidence: Evidence) -> int:
    """Vote for a voice if there are words to be sung; that there are none may mean little."""
    return int(bool(evidence.has_lyrics))


def instrumental_flag(evidence: Evidence) -> int:
    """Repeat what the flag claims: a wish of who made the music, often but not always granted."""
    return 0 if evidence.instrumental is None else -1 if evidence.instrumental else 1


def heard(evidence: Evidence) -> int:
    """Vote as the classifier hears it: a voice in a fifth of the windows, or in hardly any.

    One function and not two, because the label model takes functions to err independently.
    """
    if not evidence.heard:
        return 0
    fifth, tenth = np.quantile(evidence.heard, (0.8, 0.9))
    return 1 if fifth > HEARD_VOICE else -int(tenth < HEARD_NONE)


def _words_of(tags: Iterable[str]) -> list[str]:
    return [tag.rpartition("---")[2].replace("_", " ") for tag in tags]


Shares = tuple[float, float, float]


@dataclass(frozen=True)
class LabellingFunction:
    """A function that votes on tracks, with what is expected of it before any data are seen."""

    vote: Callable[[Evidence], int]
    reads: Callable[[Evidence], bool]
    """Whether the track has what the function looks at; if not, its silence means nothing."""
    instrumental: Shares
    """How often it is expected to vote -1, 0 and 1 on instrumental tracks."""
    vocal: Shares
    """The same on tracks with a voice."""
    tracks: int = 200
    """How firmly: as if seen on so many tracks of each kind."""

    @property
    def name(self) -> str:
        """As the manifest and the reports call it."""
        return self.vote.__name__


def _has_caption(evidence: Evidence) -> bool:
    return bool(evidence.captions)


def _has_more_captions(evidence: Evidence) -> bool:
    return len(evidence.captions) > 1


def _has_tags(evidence: Evidence) -> bool:
    return bool(evidence.tags)


def _for(instrumental: float, vocal: float) -> tuple[Shares, Shares]:
    """Shares of both kinds of track that a function votes 1 for, never -1."""
    return (0.001, 0.999 - instrumental, instrumental), (0.001, 0.999 - vocal, vocal)


def _against(instrumental: float, vocal: float) -> tuple[Shares, Shares]:
    """Shares of both kinds of track that a function votes -1 for, never 1."""
    return (instrumental, 0.999 - instrumental, 0.001), (vocal, 0.999 - vocal, 0.001)


FUNCTIONS = (
    LabellingFunction(own_caption_voice, _has_caption, *_for(0.03, 0.68)),
    LabellingFunction(own_caption_instrumental, _has_caption, *_against(0.35, 0.005)),
    LabellingFunction(other_caption_voice, _has_more_captions, *_for(0.07, 0.82)),
    LabellingFunction(other_caption_instrumental, _has_more_captions, *_against(0.33, 0.02)),
    LabellingFunction(tag_voice, _has_tags, *_for(0.002, 0.3)),
    LabellingFunction(tag_sung_genre, _has_tags, *_for(0.005, 0.1)),
    LabellingFunction(tag_instrumental, _has_tags, *_against(0.1, 0.005)),
    LabellingFunction(lyrics, lambda e: e.has_lyrics is not None, *_for(0.01, 0.8)),
    LabellingFunction(
        instrumental_flag,
        lambda e: e.instrumental is not None,
        (0.8, 0.1, 0.1),
        (0.1, 0.1, 0.8),
        40,
    ),
    LabellingFunction(heard, lambda e: bool(e.heard), (0.4, 0.54, 0.06), (0.05, 0.15, 0.8), 40),
)
"""Whoever adds one adds it here. What is expected of captions and tags is what they are worth on
Song Describer's 706 tracks (``docs/vocals.md``); flags, lyrics and classifiers are guesses, the
classifier's and the flag's loosely held. Expectations settle what few tracks leave open.
"""
