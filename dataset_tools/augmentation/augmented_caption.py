"""Update a caption after its clip was augmented: tempo figures, key names, mixed-in instruments."""

import re
from typing import Any

from ..captions.lexicon import load_lexicon

TONICS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
SHARP, FLAT = ("#", "♯", "sharp"), ("b", "♭", "flat")
MAJOR = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MINOR = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
"""The usual name of each of the twelve keys: that with fewer accidentals."""
BPM = re.compile(r"(?<![\d.])(\d{2,3}(?:\.\d+)?)(?=\s*-?\s*(?:bpm|beats per minute)\b)", re.I)
KEY = re.compile(
    r"\b(?!A (?:major|minor) (?:key|chord|scale|melody|mood))(?P<tonic>[A-Gb-g])"
    r"(?P<accidental>[#♯♭]|b(?=[ -])|[ -](?:sharp|flat)\b)?"
    r"(?P<gap>[ -])(?P<mode>major|minor|maj|min)\b",
)
"""A key name. "a minor" in lower case is none, as it is mostly part of "in a minor key"."""
SOLO = re.compile(r"\b(solo|unaccompanied|alone)\b\s*", re.I)


def augmented_caption(caption: str, parameters: dict[str, Any]) -> str:
    """Caption of a clip after an augmentation with these parameters, as ``augment`` returns them.

    Tempo figures and key names are changed with tempo and pitch. After a mixup, whose parameters
    must hold the partner's ``caption``, the partner's instruments are added, and "solo", "no drums"
    and key names are removed, as they may be wrong now; mood, genre and tempo stay.

    >>> augmented_caption("piano in C minor, 120 bpm", {"tempo": 1.05, "pitch_semitones": 2})
    'piano in D minor, 126 bpm'
    >>> augmented_caption("solo flute", {"mixup": {"ratio": 0.6, "caption": "bass, 90 bpm"}})
    'flute, bass'
    """
    updated = _with_changed_tempo(caption, parameters.get("tempo", 1.0))
    updated = _with_transposed_keys(updated, parameters.get("pitch_semitones", 0))
    partner = (parameters.get("mixup") or {}).get("caption")
    return updated if partner is None else _with_partner_instruments(updated, partner)


def _with_changed_tempo(caption: str, tempo: float) -> str:
    if tempo == 1:
        return caption
    return BPM.sub(lambda found: f"{float(found[1]) * tempo:.0f}", caption)


def _with_transposed_keys(caption: str, semitones: int) -> str:
    if not semitones:
        return caption
    return KEY.sub(lambda found: _transposed_key(found, semitones), caption)


def _transposed_key(found: re.Match[str], semitones: int) -> str:
    """The key name that was found, moved by semitones, in its own spelling."""
    accidental = (found["accidental"] or "").strip(" -")
    tonic = TONICS[found["tonic"].lower()] + (accidental in SHARP) - (accidental in FLAT)
    names = MAJOR if found["mode"].startswith("maj") else MINOR
    name = names[(tonic + semitones) % 12]
    if accidental in ("sharp", "flat"):
        name = name.replace("#", " sharp").replace("b", " flat")
    if found["tonic"].islower():
        name = name[0].lower() + name[1:]
    return f"{name}{found['gap']}{found['mode']}"


def _with_partner_instruments(caption: str, partner: str) -> str:
    """Add the instruments of the partner's caption; drop denials, keys, and "solo"."""
    find = load_lexicon().find_mentions
    instruments = [m.value for m in find(partner) if m.facet == "instrument" and not m.negated]
    parts = [SOLO.sub("", part.strip()).strip() for part in caption.split(",")]
    kept = [
        part
        for part in parts
        if part and not KEY.search(part) and not any(m.negated for m in find(part))
    ]
    mentioned = {mention.value for part in kept for mention in find(part)}
    return ", ".join(kept + [name for name in dict.fromkeys(instruments) if name not in mentioned])
