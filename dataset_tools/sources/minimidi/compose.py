"""Compose a piece from a seed; the same seed gives the same piece on every machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import numpy as np

from .accompaniment import bass_line, chord_notes, drum_notes
from .harmony import KEYS, PROGRESSIONS, Scale
from .instruments import INSTRUMENTS
from .melody import BeatNote, RhythmSettings, compose_melody
from .piece import Note, Piece
from .styles import BASE_STYLES, STYLES, Style, lead_accompaniment_pairs, with_all_players

Choice = TypeVar("Choice")
DENSITIES = ("sparse", "medium", "busy")
FIRST_BARS = (0, 0, 0, 1, 2, 3)
"""Bars of a phrase at which pieces begin, equally likely: half of them at its first bar."""


@dataclass(frozen=True)
class Arrangement:
    """Tempo, key, instruments and character of a piece, chosen before its notes."""

    tempo_bpm: int
    beats: int
    tonic: int
    mode: str
    lead: str
    comp: str | None
    bass: str | None
    kit: str | None
    activity: float
    lift: int
    """Semitones of the lead above or below the middle: a bright or a dark piece."""
    force: float
    """Loudness of the playing, about 0.8..1.1."""
    phrase_bar: int
    """Bar of the four-bar phrase at which the piece begins."""


def compose(
    seed: int,
    style: str | None = None,
    duration_s: float = 5.12,
    unseen: bool = False,
    mixed_players: bool = False,
) -> Piece:
    """Compose the piece of a seed; without ``style`` the seed chooses a base style.

    ``unseen`` composes only for the pairs of lead and accompaniment in ``UNSEEN_PAIRS``, which are
    otherwise left out. ``mixed_players`` gives a base style the instruments of all of them.
    KeyError for unknown styles; ValueError if the style has no such pair.
    """
    rng = np.random.default_rng([2026, seed])
    able = [name for name in BASE_STYLES if lead_accompaniment_pairs(STYLES[name], unseen)]
    default = able[rng.integers(len(able))]
    chosen = STYLES[style or default]
    if mixed_players:
        chosen = with_all_players(chosen)
    pairs = lead_accompaniment_pairs(chosen, unseen)
    if not pairs:
        raise ValueError(f"no {'test' if unseen else 'training'} pair of instruments in {style}")
    arrangement = _choose_arrangement(rng, chosen, pairs)
    scale = Scale(arrangement.tonic, arrangement.mode)
    n_bars = ceil(duration_s * arrangement.tempo_bpm / 60 / arrangement.beats)
    chords = _chord_per_bar(rng, scale, n_bars, arrangement, chosen.sevenths)
    lines = _compose_parts(rng, arrangement, chosen, scale, chords)
    pitched = tuple(
        dict.fromkeys(
            name for name in (arrangement.lead, arrangement.comp, arrangement.bass) if name
        )
    )
    return Piece(
        seed=seed,
        style=chosen.name,
        duration_s=duration_s,
        tempo_bpm=arrangement.tempo_bpm,
        beats_per_bar=arrangement.beats,
        key=KEYS[arrangement.tonic],
        mode=arrangement.mode,
        moods=_mood_words(arrangement, chosen),
        density=_density_word(arrangement, chosen),
        instruments=pitched,
        drums=arrangement.kit,
        notes=_timed_notes(rng, lines, arrangement, chosen, duration_s),
    )


def _choose_arrangement(
    rng: np.random.Generator, style: Style, pairs: Sequence[tuple[str, str | None]]
) -> Arrangement:
    """Choose tempo, metre, key, instruments, register, loudness, activity and first bar."""

    def choose(options: Sequence[Choice]) -> Choice:
        return options[int(rng.integers(len(options)))]

    low, high = style.tempo_bpm
    lead, comp = choose(pairs)
    return Arrangement(
        tempo_bpm=int(rng.integers(low, high + 1)),
        beats=choose(style.beats_per_bar),
        tonic=int(rng.integers(12)),
        mode="minor" if rng.random() < style.minor_share else "major",
        lead=lead,
        comp=comp,
        bass=choose(style.basses),
        kit=choose(style.kits),
        activity=float(rng.uniform(*style.weak_beat_probability)),
        lift=int(rng.choice((-5, 5))),
        force=float(rng.choice((0.85, 1.05))),
        phrase_bar=choose(FIRST_BARS),
    )


def _chord_per_bar(
    rng: np.random.Generator, scale: Scale, n_bars: int, arrangement: Arrangement, sevenths: bool
) -> list[tuple[int, ...]]:
    """One chord for each bar: the mood's progression, from the bar at which the piece begins."""
    options = PROGRESSIONS[_valence_word(arrangement)]
    roots = options[rng.integers(len(options))]
    first = arrangement.phrase_bar
    return [scale.chord_classes(roots[bar % 4], sevenths) for bar in range(first, first + n_bars)]


def _compose_parts(
    rng: np.random.Generator,
    arrangement: Arrangement,
    style: Style,
    scale: Scale,
    chords: list[tuple[int, ...]],
) -> list[tuple[str, float, list[BeatNote]]]:
    """(instrument, loudness, events) of every part."""
    lead = INSTRUMENTS[arrangement.lead]
    middle = min(max(71 + arrangement.lift, lead.low + 8), lead.high - 8)
    register = (max(middle - 9, lead.low), min(middle + 9, lead.high))
    rhythm = RhythmSettings(
        arrangement.beats,
        style.melody_positions_per_beat,
        arrangement.activity,
        arrangement.phrase_bar,
    )
    tune = compose_melody(rng, scale, chords, register, rhythm)
    lines = [(arrangement.lead, 1.0, tune)]
    if arrangement.comp:
        pattern = style.accompaniment_patterns[rng.integers(len(style.accompaniment_patterns))]
        centre = max(58, INSTRUMENTS[arrangement.comp].low + 7)
        lines.append(
            (arrangement.comp, 0.52, chord_notes(pattern, chords, arrangement.beats, centre))
        )
    if arrangement.bass:
        pattern = style.bass_patterns[rng.integers(len(style.bass_patterns))]
        lines.append((arrangement.bass, 0.85, bass_line(pattern, chords, arrangement.beats, scale)))
    if arrangement.kit:
        pattern = style.drum_patterns[rng.integers(len(style.drum_patterns))]
        lines.append(
            (
                arrangement.kit,
                0.8,
                drum_notes(pattern, len(chords), arrangement.beats, arrangement.phrase_bar),
            )
        )
    return lines


def _timed_notes(
    rng: np.random.Generator,
    lines: list[tuple[str, float, list[BeatNote]]],
    arrangement: Arrangement,
    style: Style,
    duration_s: float,
) -> tuple[Note, ...]:
    """Turn musical time into seconds with swing and timing errors, and accents into velocities."""
    notes = []
    beat_s = 60 / arrangement.tempo_bpm
    for name, loudness, events in lines:
        for event in events:
            late_s = style.timing_error_s * float(np.clip(rng.standard_normal(), -2, 2))
            start_s = max(0.0, _swung_beat(event.beat, style.swing) * beat_s + late_s)
            end_s = _swung_beat(event.beat + event.length, style.swing) * beat_s
            touch = (
                arrangement.force * loudness * (0.75 + 0.4 * event.accent)
                + 0.03 * rng.standard_normal()
            )
            if start_s < duration_s:
                length_s = max(end_s - start_s, 0.03)
                velocity = int(np.clip(round(100 * touch), 20, 127))
                notes.append(
                    Note(name, event.pitch, round(start_s, 5), round(length_s, 5), velocity)
                )
    return tuple(sorted(notes, key=lambda note: (note.start_s, note.instrument, note.pitch)))


def _swung_beat(beat: float, swing: float) -> float:
    """Delay the second eighth of each beat; at swing 1 the beat divides 2 : 1."""
    whole, part = divmod(beat, 1)
    half = 0.5 + swing / 6
    return whole + (part * 2 * half if part < 0.5 else half + (part - 0.5) * 2 * (1 - half))


def _density_word(arrangement: Arrangement, style: Style) -> str:
    """Word for the number of notes: sparse, medium or busy."""
    low, high = style.weak_beat_probability
    place = (arrangement.activity - low) / (high - low)
    players = sum(
        part is not None for part in (arrangement.comp, arrangement.bass, arrangement.kit)
    )
    return DENSITIES[
        int(np.clip(round(place * 1.2 + (players - 1.6) * 0.5 + arrangement.activity - 0.4), 0, 2))
    ]


def _valence_word(arrangement: Arrangement) -> str:
    """Word for the mood of the mode and the chords."""
    return {
        ("major", True): "happy", ("major", False): "warm",
        ("minor", True): "melancholic", ("minor", False): "dark",
    }[arrangement.mode, arrangement.lift > 0]  # fmt: skip


def _mood_words(arrangement: Arrangement, style: Style) -> tuple[str, ...]:
    """Two or three mood words, by mode and register, by tempo and loudness, and by density."""
    valence = _valence_word(arrangement)
    fast, loud = arrangement.tempo_bpm >= 100, arrangement.force > 1
    arousal = {
        (True, True): "energetic", (True, False): "playful",
        (False, True): "dramatic", (False, False): "mellow",
    }[fast, loud]  # fmt: skip
    density = _density_word(arrangement, style)
    return (valence, arousal) if density == "medium" else (valence, arousal, density)
