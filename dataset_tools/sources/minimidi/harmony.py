"""Keys, chords and voice leading; pitches are MIDI numbers, degrees count from 0 at the tonic."""

from dataclasses import dataclass
from itertools import pairwise

KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}

# Degrees of four bars' chords by mood, without diminished chords (vii in major, ii in minor).
PROGRESSIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "happy": ((0, 4, 5, 3), (0, 3, 0, 4), (0, 3, 4, 0), (0, 1, 4, 0)),
    "warm": ((0, 5, 3, 4), (0, 2, 3, 4), (0, 3, 1, 4), (0, 5, 1, 4)),
    "melancholic": ((0, 5, 2, 6), (0, 3, 6, 2), (0, 6, 5, 6), (0, 2, 6, 3)),
    "dark": ((0, 5, 3, 4), (0, 3, 0, 4), (0, 5, 0, 4), (0, 4, 5, 4)),
}  # fmt: skip
DOMINANT = 4


@dataclass(frozen=True)
class Scale:
    """A diatonic scale on a tonic pitch class."""

    tonic: int
    mode: str

    def pitch(self, degree: int) -> int:
        """MIDI pitch of a degree, 7 to an octave; degree 0 is in the octave of MIDI 0.

        >>> Scale(9, "minor").pitch(7 * 5)
        69
        """
        octave, step = divmod(degree, 7)
        return self.tonic + 12 * octave + SCALES[self.mode][step]

    def chord_classes(self, root: int, sevenths: bool) -> tuple[int, ...]:
        """Pitch classes of the triad or seventh chord on a degree, root first.

        In minor the dominant is the major chord of the harmonic scale.

        >>> [Scale(0, "major").chord_classes(4, False), Scale(9, "minor").chord_classes(4, False)]
        [(7, 11, 2), (4, 8, 11)]
        """
        tones = [self.pitch(root + 2 * i) % 12 for i in range(4 if sevenths else 3)]
        if root == DOMINANT:
            tones[1] = self.leading_tone_class
        return tuple(tones)

    @property
    def leading_tone_class(self) -> int:
        """Pitch class a semitone below the tonic."""
        return (self.tonic - 1) % 12

    def pitch_adapted_to_chord(self, chord: tuple[int, ...], degree: int) -> int:
        """Pitch of a degree over a chord: in minor, with the raised seventh if the chord has it.

        >>> Scale(9, "minor").pitch_adapted_to_chord((4, 8, 11), 7 * 5 + 6)
        80
        """
        raised = self.mode == "minor" and degree % 7 == 6 and self.leading_tone_class in chord
        return self.pitch(degree) + raised

    def degrees_between(self, low: int, high: int) -> list[int]:
        """All degrees whose pitch lies in low..high."""
        return [d for d in range(0, 77) if low <= self.pitch(d) <= high]


def close_voicing(
    chord: tuple[int, ...], centre: int, previous: tuple[int, ...]
) -> tuple[int, ...]:
    """Chord in close position that moves least from ``previous``, or if empty, near ``centre``."""
    choices = [
        _stack_chord(chord, i, floor)
        for i in range(len(chord))
        for floor in range(centre - 11, centre)
    ]

    def cost(pitches: tuple[int, ...]) -> float:
        drift = abs(sum(pitches) / len(pitches) - centre)
        moved = sum(abs(a - b) for a, b in zip(pitches, previous, strict=False))
        return moved + (0.5 if previous else 2.0) * drift

    return min(choices, key=cost)


def _stack_chord(chord: tuple[int, ...], inversion: int, floor: int) -> tuple[int, ...]:
    """Chord tones upward from the lowest ``chord[inversion]`` at or above ``floor``."""
    turned = chord[inversion:] + chord[:inversion]
    pitches = [floor + (turned[0] - floor) % 12]
    for low, high in pairwise(turned):
        pitches.append(pitches[-1] + (high - low) % 12)
    return tuple(pitches)


def nearest_pitch(pitch_class: int, target: int, low: int, high: int) -> int:
    """Pitch of a class nearest ``target`` inside low..high (at least an octave wide)."""
    choices = [p for p in range(low, high + 1) if p % 12 == pitch_class]
    return min(choices, key=lambda p: abs(p - target))
