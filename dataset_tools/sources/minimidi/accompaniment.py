"""Accompaniment of the melody: chords, bass and drums from one-bar patterns."""

from .drums import KICK, SNARE
from .harmony import Scale, close_voicing, nearest_pitch
from .melody import BeatNote
from .patterns import BASS, COMP, DRUMS, FILL

BASS_RANGE = (29, 48)


def chord_notes(
    pattern: str, chords: list[tuple[int, ...]], beats: int, centre: int
) -> list[BeatNote]:
    """Notes of chords voiced near ``centre`` and near each other, in the pattern's rhythm."""
    events: list[BeatNote] = []
    pitches: tuple[int, ...] = ()
    for bar, chord in enumerate(chords):
        pitches = close_voicing(chord, centre, pitches)
        ladder = (*pitches, *(p + 12 for p in pitches))
        for beat, length, voices in COMP[pattern]:
            if beat >= beats:
                continue
            length = min(length, beats - beat)
            accent = 0.7 if beat == 0 else 0.5
            for voice in voices if voices is not None else range(len(pitches)):
                events.append(BeatNote(bar * beats + beat, length, ladder[voice], accent))
    return events


def bass_line(
    pattern: str, chords: list[tuple[int, ...]], beats: int, scale: Scale
) -> list[BeatNote]:
    """Bass notes near each other; "a" in a pattern is a step of the scale before the next root."""
    events = []
    root = nearest_pitch(chords[0][0], 38, *BASS_RANGE)
    for bar, chord in enumerate(chords):
        root = nearest_pitch(chord[0], (root + 38) // 2, *BASS_RANGE)
        following = nearest_pitch(chords[(bar + 1) % len(chords)][0], (root + 38) // 2, *BASS_RANGE)
        tones = {
            "r": root,
            "o": root + 12 if root + 12 <= BASS_RANGE[1] + 4 else root,
            "t": nearest_pitch(chord[1], root + 4, *BASS_RANGE),
            "f": nearest_pitch(chord[2], root + 5, *BASS_RANGE),
            "a": _approach_pitch(following, root, scale, chord),
        }
        for beat, length, what in BASS[pattern]:
            if beat < beats:
                length = min(length, beats - beat)
                events.append(
                    BeatNote(bar * beats + beat, length, tones[what], 0.8 if beat == 0 else 0.65)
                )
    return events


def _approach_pitch(target: int, start: int, scale: Scale, chord: tuple[int, ...]) -> int:
    """Scale tone next to ``target``, on the side of ``start``, adapted to the chord."""
    degrees = scale.degrees_between(target - 3, target + 3)
    at = [scale.pitch(degree) for degree in degrees].index(target)
    return scale.pitch_adapted_to_chord(
        chord, degrees[at - 1] if start < target else degrees[at + 1]
    )


def drum_notes(pattern: str, n_bars: int, beats: int, phrase_bar: int) -> list[BeatNote]:
    """Drum hits, with a fill at the end of each four-bar phrase.

    ``phrase_bar`` is the position of the first bar in its phrase, 0..3. Bars shorter than four
    beats play the beginning of the pattern.
    """
    events = []
    for bar in range(n_bars):
        closing = (bar + phrase_bar) % 4 == 3 and SNARE in DRUMS[pattern] and beats == 4
        for pitch, steps in (FILL if closing else DRUMS[pattern]).items():
            for i, mark in enumerate(steps[: beats * 4]):
                if mark != ".":
                    accent = 1.0 if mark == "X" else 0.55 if pitch != KICK else 0.8
                    events.append(BeatNote(bar * beats + i / 4, 0.2, pitch, accent))
    return events
