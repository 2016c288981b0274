"""Remove mentions of voices from a caption, because training clips are instrumental.

Voices are singing, rap, speech, choirs, screams, humming, vocal samples, vocoders, and lyrics.
Whistling stays; so do "song", "ballad" and "chorus", which instrumental music has too.

Denials are removed as well: CLIP hardly understands "no", so "no vocals" would suggest voices. The
word "instrumental" stays: it is true, and distinguishes the clip from vocal regularisation clips.

Sentences are not parsed. A part between commas stays prose where it still ends in a noun without
its voice; of other parts only their terms of sound stay. What a voice does ("sings sadly") goes
with it, up to the next sound ("over a piano").
"""

import re
from collections.abc import Callable

from ..denials import denied_spans, is_denied
from .clean import Change, apply_rules
from .lexicon import Lexicon, Mention
from .voice_phrase import (
    ADJECTIVES,
    PRONOUN,
    VOICE_TERMS,
    VoicePhrase,
    find_voice_phrase,
    voice_mentions,
)
from .voice_words import AND, BEGINS_OTHER_SOUND, DENIAL_AFTER, DETERMINERS, QUALITIES
from .words_kept import (
    NOUN_FACETS,
    list_sound_terms,
    split_words_after,
    without_article,
    without_lead_in,
    words_kept_before,
)

REMAINDER = "instrumental"
"""Caption of a clip whose caption was only about the voice."""

_PART = re.compile(r"(\s*[,;:()]\s*|\s+[-–—]\s+)")
_SEX = re.compile(r"\b(?:fe)?males?\b[\s-]*|\b(?:his|her)\s+", re.IGNORECASE)
_MUSIC_NOUN = re.compile(
    r"[\s/-]+(?!(?:vocal|voice|sing|lyric|verse|part|on top)\w*)[^\W_]", re.IGNORECASE
)
"""Text after a genre that is also a voice, if only the genre is to be removed: "rap song"."""
_LINKED_ADJECTIVE = re.compile(
    r"\b(?:with|featuring|features|and|by|has|of|over|an?|the)\s+(?:(?:an?|the)\s+)?[\w-]+(?:\s[\w-]+)?$"
)
_LIST_LINKS = ("with", "featuring", "features", "has", "using", "", "by", "over", "and")
"""Links after which a list may go on without the voice: "song with voice and piano"."""


def without_voice(text: str, lexicon: Lexicon) -> tuple[str, list[Change]]:
    """Remove voices from a cleaned caption; returns the caption and the change made by each rule.

    If nothing else is left, the caption is "instrumental".

    >>> from .lexicon import load_lexicon
    >>> without_voice("Folk song with a raspy male voice and banjo, no drums", load_lexicon())[0]
    'Folk song with banjo, no drums'
    """
    if not (voice_mentions(text, lexicon) or PRONOUN.search(text) or _SEX.search(text)):
        return text, []
    rules = {
        "no voice": lambda t: _without_denials(t, lexicon),
        "voice": lambda t: _without_voices(t, lexicon),
        "people": lambda t: _edit_parts(t, lambda part: _SEX.sub("", part).strip()),
        "all about the voice": lambda t: _edit_parts(
            t, lambda part: _reduce_to_sound_terms(part, lexicon)
        ),
        "nothing but the voice": lambda t: t or REMAINDER,
    }
    return apply_rules(text, rules)


def _edit_parts(text: str, edit: Callable[[str], str]) -> str:
    """Edit each part between commas, brackets or dashes; parts that become empty are dropped.

    If no part changes, the text is returned unchanged.
    """
    pieces = _PART.split(text)
    parts = [edit(part) for part in pieces[::2]]
    return text if parts == pieces[::2] else ", ".join(part for part in parts if part)


def _reduce_to_sound_terms(part: str, lexicon: Lexicon) -> str:
    """If a part still mentions a voice, keep only its terms of sound."""
    return list_sound_terms(part, lexicon) if _first_voice(part, lexicon) else part


def _without_denials(text: str, lexicon: Lexicon) -> str:
    """Remove every denial of a voice, with everything else that it denies."""
    while found := [mention for mention in voice_mentions(text, lexicon) if mention.negated]:
        spans = [s for s in denied_spans(text) if is_denied(found[0].start, [s])]
        start, end = min(a for a, _ in spans), max(b for _, b in spans)
        if absent := DENIAL_AFTER.match(text, end):
            end = absent.end()
        before, after = without_lead_in(text[:start], negation=True), text[end:].strip()
        after = AND.sub("", after, count=1) if AND.match(after) else after
        joint = " " if before and BEGINS_OTHER_SOUND.match(after) else ", "
        text = joint.join(part for part in (before, after.lstrip(" ,.;:")) if part)
    return text


def _without_voices(text: str, lexicon: Lexicon) -> str:
    """Remove the voices of all parts, and parts that only describe the voice before them."""
    pieces = _PART.split(text)
    kept: list[str] = []
    about_voice = False
    for part in pieces[::2]:
        if not _first_voice(part, lexicon):
            about_voice = about_voice and _only_describes(part, lexicon)
            if (
                kept and not kept[-1] and BEGINS_OTHER_SOUND.match(part)
            ):  # "over a piano", without its voice
                part = without_article(part)
            kept += [] if about_voice else [part]
            continue
        rest, about_voice, leads = _remove_voices_of_part(part, lexicon)
        if leads:
            _cut_adjectives(kept, lexicon)
        kept.append(rest)
    return text if kept == pieces[::2] else ", ".join(part for part in kept if part)


def _only_describes(part: str, lexicon: Lexicon) -> bool:
    """Whether a part may only describe the voice before it: "passionate and soft"."""
    words = part.split()
    named = any(m.facet in NOUN_FACETS for m in lexicon.find_mentions(part))
    return (
        bool(words)
        and part[0].islower()
        and not named
        and len(words) <= 6
        and (words[0].lower() not in DETERMINERS)
    )


def _remove_voices_of_part(part: str, lexicon: Lexicon) -> tuple[str, bool, bool]:
    """Remove a part's voices; returns the rest, whether it ended with words about one, or began so.

    ``(rest, ends_with_voice, begins_with_voice)``
    """
    about, leads = False, False
    for turn in range(20):
        voice = _first_voice(part, lexicon)
        if voice is None:
            return part, about, leads
        if _describes_music(part, voice, lexicon):
            part = part[: voice.start] + part[voice.end :].lstrip(" /-")
            continue
        phrase = find_voice_phrase(part, voice, lexicon)
        leads = leads or (turn == 0 and phrase.starts_part)
        part, about = _remove_first_voice(part, phrase, lexicon)
        about = about or (phrase.has_words_after and not part)
    return list_sound_terms(part, lexicon), about, leads


def _describes_music(part: str, voice: Mention, lexicon: Lexicon) -> bool:
    """Whether a voice is only an adjective of music: "rap song", "vocal house"."""
    if voice.facet == "genre":
        return bool(_MUSIC_NOUN.match(part, voice.end))
    after = re.compile(r"[\s-]+(?=\w)").match(part, voice.end)
    return bool(after) and any(
        m.start == after.end() and m.facet == "genre" and m.value not in VOICE_TERMS
        for m in lexicon.find_mentions(part)
    )


def _first_voice(part: str, lexicon: Lexicon) -> Mention | None:
    """The first mention of a voice, otherwise the first pronoun; None without either."""
    if found := voice_mentions(part, lexicon):
        return found[0]
    pronoun = PRONOUN.search(part)
    return Mention("instrument", "voice", *pronoun.span()) if pronoun else None


def _remove_first_voice(part: str, phrase: VoicePhrase, lexicon: Lexicon) -> tuple[str, bool]:
    """Remove one voice; returns the remaining part, and whether words after it were about it."""
    before = part[: phrase.start].strip()
    rest, joint, about = split_words_after(part[phrase.end :].strip(), lexicon)
    before = words_kept_before(before, lexicon) if before else ""
    if not before:
        return without_article(rest), about
    if not rest:
        return before, about
    if joint == "on":
        return f"{before} {rest}", about
    if joint == "and" and phrase.link in _LIST_LINKS and not before.endswith(","):
        return f"{before} {phrase.link or 'and'} {rest}", about
    return f"{before}, {rest}", about


def _cut_adjectives(parts: list[str], lexicon: Lexicon) -> None:
    """Cut adjectives of a voice from the parts before it, in place: "with a raspy, echoing voice".

    Without a link before the adjectives, they belong to the music: "slow, sad, female voice".
    """
    first = len(parts) - 1
    while (
        first > 0
        and _only_describes(parts[first], lexicon)
        and not _LINKED_ADJECTIVE.search(parts[first])
    ):
        first -= 1
    if first < 0 or not (found := _LINKED_ADJECTIVE.search(parts[first])):
        return
    last = parts[first].split()[-1].lower()
    adjectives = [m for m in lexicon.find_mentions(parts[first]) if m.facet in ADJECTIVES]
    if last in QUALITIES or any(m.end == len(parts[first]) for m in adjectives):
        parts[first:] = [words_kept_before(parts[first][: found.start()].strip(), lexicon)]
