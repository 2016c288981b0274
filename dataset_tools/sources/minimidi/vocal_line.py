"""The syllables that a voice sings, raps or speaks over a piece, with times and pitches."""

from dataclasses import dataclass, replace

import numpy as np

from .phonemes import Syllable, random_syllable
from .piece import Note, Piece
from .singers import Voice

SYLLABLE_S = 0.19
"""Length of a spoken syllable; sung ones last as long as their notes."""


@dataclass(frozen=True)
class SungSyllable:
    """A syllable in time, with the pitches sung on it."""

    syllable: Syllable
    start_s: float
    """Start of its vowel."""
    end_s: float
    pitches: tuple[tuple[float, float], ...]
    """(start in seconds, MIDI pitch) of each note."""
    level: float


def vocal_line(piece: Piece, voice: Voice, seed: int) -> list[SungSyllable]:
    """Syllables of a voice over a piece; all singers of a choir have the same ones."""
    rng = np.random.default_rng([2043, seed])
    notes = _lead_notes(piece)
    if voice.kind == "spoken word" or not notes:
        return _spoken_line(piece.duration_s, voice, rng)
    return _rapped_line(notes, voice, rng) if voice.kind == "rap" else _sung_line(notes, voice, rng)


def _lead_notes(piece: Piece) -> list[Note]:
    """Notes of the lead, one at a time; the highest of those that begin together."""
    notes: list[Note] = []
    for note in piece.notes:
        if note.instrument != piece.instruments[0]:
            continue
        if notes and note.start_s - notes[-1].start_s < 0.04:
            notes[-1] = max(notes[-1], note, key=lambda n: n.pitch)
        else:
            notes.append(note)
    return notes


def _sung_line(notes: list[Note], voice: Voice, rng: np.random.Generator) -> list[SungSyllable]:
    """A syllable for each note; short notes and some others continue the syllable before."""
    middle = float(np.mean([note.pitch for note in notes]))
    shift = 12 * round((voice.centre - middle) / 12)
    line: list[SungSyllable] = []
    for i, note in enumerate(notes):
        following = notes[i + 1].start_s if i + 1 < len(notes) else np.inf
        end_s = min(note.start_s + max(note.duration_s, 0.12), following)
        if following - end_s < 0.08:
            end_s = following  # legato
        sung = (note.start_s, float(note.pitch + shift))
        is_joined = bool(line) and line[-1].end_s >= note.start_s - 1e-3
        if is_joined and (end_s - note.start_s < 0.15 or rng.random() < 0.12):
            before = line.pop()
            line.append(replace(before, end_s=end_s, pitches=(*before.pitches, sung)))
        else:
            level = (note.velocity / 100) ** 0.8
            chosen = random_syllable(rng, voice.wordless)
            line.append(SungSyllable(chosen, note.start_s, end_s, (sung,), level))
    return line


def _rapped_line(notes: list[Note], voice: Voice, rng: np.random.Generator) -> list[SungSyllable]:
    """One to five quick syllables for each note of the lead, with high accents and falling ends."""
    line = []
    for note in notes:
        length_s = min(max(note.duration_s, 0.12), 0.9)
        count = max(1, round(length_s / SYLLABLE_S))
        for i in range(count):
            start_s = note.start_s + i * length_s / count
            accent = 3.0 if i == 0 else 0.0
            pitch = voice.centre + accent + float(rng.normal(0, 1.5)) - 2.0 * i / count
            chosen, end_s = random_syllable(rng), start_s + length_s / count
            line.append(
                SungSyllable(chosen, start_s, end_s, _falling_pitches(start_s, end_s, pitch), 1.0)
            )
    return line


def _spoken_line(duration_s: float, voice: Voice, rng: np.random.Generator) -> list[SungSyllable]:
    """Phrases of three to nine syllables that fall from high to low, with pauses in between."""
    line, now_s = [], float(rng.uniform(0.05, 0.3))
    while now_s < duration_s:
        count = int(rng.integers(3, 10))
        for i in range(count):
            end_s = now_s + SYLLABLE_S * float(rng.uniform(0.6, 1.5))
            pitch = voice.centre + 3.0 - 6.0 * i / count + float(rng.normal(0, 1.8))
            level = float(rng.uniform(0.6, 1.1))
            line.append(
                SungSyllable(
                    random_syllable(rng), now_s, end_s, _falling_pitches(now_s, end_s, pitch), level
                )
            )
            now_s = end_s
        now_s += float(rng.uniform(0.15, 0.7))
    return line


def _falling_pitches(start_s: float, end_s: float, pitch: float) -> tuple[tuple[float, float], ...]:
    return ((start_s, pitch), ((start_s + end_s) / 2, pitch - 1.2))
