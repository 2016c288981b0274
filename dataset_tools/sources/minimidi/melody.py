"""Melodies of four-bar phrases: rhythms are repeated, strong beats have tones of the chord."""

from dataclasses import dataclass

import numpy as np

from .harmony import Scale


@dataclass(frozen=True)
class BeatNote:
    """A note, timed in beats."""

    beat: float
    length: float
    pitch: int
    accent: float
    """0..1."""


@dataclass(frozen=True)
class RhythmSettings:
    """Settings of a melody's rhythm."""

    beats: int
    """Beats per bar."""
    per_beat: int
    """Positions per beat at which a note may begin."""
    activity: float
    """Probability of a note on a weak beat."""
    phrase_bar: int
    """Bar of the phrase (0..3) at which the melody begins."""


def bar_rhythm(
    rng: np.random.Generator, settings: RhythmSettings, last: bool
) -> list[tuple[float, float]]:
    """(beat, length) of the notes in a bar; the last bar of a phrase ends with a rest."""
    middle = settings.beats // 2
    likely = {0.0: 0.95, float(middle): 0.35 + 0.6 * settings.activity}
    onsets = []
    for beat in np.arange(settings.beats * settings.per_beat) / settings.per_beat:
        weak = settings.activity * (0.9 if beat % 1 == 0 else 0.7 if beat % 0.5 == 0 else 0.3)
        if rng.random() < likely.get(beat, weak) and not (last and beat > middle):
            onsets.append(float(beat))
    onsets = onsets or [0.0]
    ends = [*onsets[1:], settings.beats - (0.5 if last else 0.0)]
    return [(start, end - start) for start, end in zip(onsets, ends, strict=True)]


def compose_melody(
    rng: np.random.Generator,
    scale: Scale,
    chords: list[tuple[int, ...]],
    register: tuple[int, int],
    settings: RhythmSettings,
) -> list[BeatNote]:
    """Melody over the chords, one for each bar, in phrases of four bars with rhythms a b a c."""
    opening, answer, closing = (bar_rhythm(rng, settings, last) for last in (False, False, True))
    phrase = (opening, answer, opening, closing)
    contour = rng.choice((-2, -1, -1, 0, 1, 1, 2, 3), settings.beats * settings.per_beat)
    degrees = scale.degrees_between(*register)
    at = len(degrees) // 2
    events = []
    for bar, chord in enumerate(chords):
        place = (bar + settings.phrase_bar) % 4
        steps = contour if place in (0, 2) else rng.choice((-2, -1, -1, 1, 1, 2), len(contour))
        for (beat, length), step in zip(phrase[place], steps, strict=False):
            at = _reflected_index(at + int(step), len(degrees))
            strong = beat in (0, settings.beats // 2) or length >= 1.5
            if strong:
                at = _nearest_chord_degree(at, degrees, scale, chord)
            accent = 0.85 if beat == 0 else 0.7 if strong else 0.55
            pitch = scale.pitch_adapted_to_chord(chord, degrees[at])
            events.append(BeatNote(bar * settings.beats + beat, length, pitch, accent))
    return events


def _reflected_index(at: int, size: int) -> int:
    return max(-at, 0) if at < 0 else min(at, 2 * (size - 1) - at)


def _nearest_chord_degree(at: int, degrees: list[int], scale: Scale, chord: tuple[int, ...]) -> int:
    """Index of the nearest degree that belongs to the chord."""
    fitting = [
        i
        for i, degree in enumerate(degrees)
        if scale.pitch_adapted_to_chord(chord, degree) % 12 in chord
    ]
    return min(fitting, key=lambda i: abs(i - at))
