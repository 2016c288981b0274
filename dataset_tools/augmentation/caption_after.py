"""What a caption must say after its clip was augmented: tempo in figures and the key's name."""

import re
from typing import Any

from ..captions.lexicon import load_lexicon

TONICS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
SHARP, FLAT = ("#", "♯", "sharp"), ("b", "♭", "flat")
MAJOR = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
"""The usual names of the twelve keys, by the signature with fewer accidentals."""
BPM = re.compile(r"(?<![\d.])(\d{2,3}(?:\.\d+)?)(?=\s*-?\s*(?:bpm|beats per minute)\b)", re.I)
KEY = re.compile(
    r"\b(?!A (?:major|minor) (?:key|chord|scale|melody|mood))(?P<tonic>[A-Gb-g])"
    r"(?P<accidental>[#♯♭]|b(?=[ -])|[ -](?:sharp|flat)\b)?"
    r"(?P<gap>[ -])(?P<mode>major|minor|maj|min)\b",
)
"""A lower-case "a minor" is not taken for a key: mostly it is "in a minor key"."""
ALONE = re.compile(r"\b(solo|unaccompanied|alone)\b\s*", re.I)


def caption_after(caption: str, drawn: dict[str, Any]) -> str:
    """Say what the augmented clip sounds like.

    Figures of tempo and names of keys follow tempo and pitch. After a mixup whose ``drawn`` holds
    the partner's ``caption``, its instruments are added; mood, genre and tempo stay those of the
    louder clip, lest "slow, fast" be said. "Solo", "no drums" and key names go, as no longer true.

    >>> caption_after("piano in C minor, 120 bpm", {"tempo": 1.05, "pitch_semitones": 2})
    'piano in D minor, 126 bpm'
    >>> caption_after("solo flute", {"mixup": {"ratio": 0.6, "caption": "bass, 90 bpm"}})
    'flute, bass'
    """
    told = _with_tempo(caption, drawn.get("tempo", 1.0))
    told = _with_key(told, drawn.get("pitch_semitones", 0))
    partner = (drawn.get("mixup") or {}).get("caption")
    return told if partner is None else _both(told, partner)


def _with_tempo(caption: str, tempo: float) -> str:
    if tempo == 1:
        return caption
    return BPM.sub(lambda found: f"{float(found[1]) * tempo:.0f}", caption)


def _with_key(caption: str, semitones: int) -> str:
    if not semitones:
        return caption
    return KEY.sub(lambda found: _moved(found, semitones), caption)


def _moved(key: re.Match[str], semitones: int) -> str:
    accidental = (key["accidental"] or "").strip(" -")
    tonic = TONICS[key["tonic"].lower()] + (accidental in SHARP) - (accidental in FLAT)
    names = MAJOR if key["mode"].startswith("maj") else MINOR
    name = names[(tonic + semitones) % 12]
    if accidental in ("sharp", "flat"):
        name = name.replace("#", " sharp").replace("b", " flat")
    if key["tonic"].islower():
        name = name[0].lower() + name[1:]
    return f"{name}{key['gap']}{key['mode']}"


def _both(caption: str, partner: str) -> str:
    """Add the instruments of the partner, and drop what they make untrue."""
    find = load_lexicon().find
    theirs = [m.value for m in find(partner) if m.facet == "instrument" and not m.negated]
    parts = [ALONE.sub("", part.strip()).strip() for part in caption.split(",")]
    kept = [
        part
        for part in parts
        if part and not KEY.search(part) and not any(m.negated for m in find(part))
    ]
    said = {mention.value for part in kept for mention in find(part)}
    return ", ".join(kept + [name for name in dict.fromkeys(theirs) if name not in said])
