"""Seed to piece: every draw comes from one PCG64 stream, so a seed means one piece everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import numpy as np

from .accompaniment import bass_line, comping, drumming
from .harmony import KEYS, PROGRESSIONS, Scale
from .instruments import INSTRUMENTS
from .melody import Event, Pace, melody
from .piece import Note, Piece
from .styles import BASE_STYLES, STYLES, Style, leads_and_accompaniments

Choice = TypeVar("Choice")
DENSITIES = ("sparse", "medium", "busy")
FIRST_BARS = (0, 0, 0, 1, 2, 3)
"""Bar of the phrase at which a piece begins: half of them at its beginning."""


@dataclass(frozen=True)
class Plan:
    """What is drawn first: the piece's character, from which all notes follow."""

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
    """Semitones the lead sits above or below its middle: a bright or a dark piece."""
    force: float
    """Loud or soft playing, about 0.8..1.1."""
    phrase_bar: int
    """Bar of the four-bar phrase at which the piece begins."""


def compose(
    seed: int, style: str | None = None, duration_s: float = 5.12, unseen: bool = False
) -> Piece:
    """Piece of a seed; without ``style`` a base style is drawn.

    ``unseen`` composes for the lead and accompaniment pairs in ``TEST_PAIRS`` alone, which are
    otherwise left out. KeyError for unknown styles; ValueError if the style has no such pair.
    """
    rng = np.random.default_rng([2026, seed])
    able = [name for name in BASE_STYLES if leads_and_accompaniments(STYLES[name], unseen)]
    drawn = able[rng.integers(len(able))]
    chosen = STYLES[style or drawn]
    pairs = leads_and_accompaniments(chosen, unseen)
    if not pairs:
        raise ValueError(f"no {'test' if unseen else 'training'} pair of instruments in {style}")
    plan = _plan(rng, chosen, pairs)
    scale = Scale(plan.tonic, plan.mode)
    n_bars = ceil(duration_s * plan.tempo_bpm / 60 / plan.beats)
    chords = _chords(rng, scale, n_bars, plan, chosen.sevenths)
    lines = _lines(rng, plan, chosen, scale, chords)
    pitched = tuple(dict.fromkeys(name for name in (plan.lead, plan.comp, plan.bass) if name))
    return Piece(
        seed=seed,
        style=chosen.name,
        duration_s=duration_s,
        tempo_bpm=plan.tempo_bpm,
        beats_per_bar=plan.beats,
        key=KEYS[plan.tonic],
        mode=plan.mode,
        moods=_moods(plan, chosen),
        density=_density(plan, chosen),
        instruments=pitched,
        drums=plan.kit,
        notes=_perform(rng, lines, plan, chosen, duration_s),
    )


def _plan(rng: np.random.Generator, style: Style, pairs: Sequence[tuple[str, str | None]]) -> Plan:
    def draw(options: Sequence[Choice]) -> Choice:
        return options[int(rng.integers(len(options)))]

    low, high = style.tempo_bpm
    lead, comp = draw(pairs)
    return Plan(
        tempo_bpm=int(rng.integers(low, high + 1)),
        beats=draw(style.beats_per_bar),
        tonic=int(rng.integers(12)),
        mode="minor" if rng.random() < style.minor else "major",
        lead=lead,
        comp=comp,
        bass=draw(style.basses),
        kit=draw(style.kits),
        activity=float(rng.uniform(*style.activity)),
        lift=int(rng.choice((-5, 5))),
        force=float(rng.choice((0.85, 1.05))),
        phrase_bar=draw(FIRST_BARS),
    )


def _chords(
    rng: np.random.Generator, scale: Scale, n_bars: int, plan: Plan, sevenths: bool
) -> list[tuple[int, ...]]:
    """One chord a bar, the mood's progression repeated from the bar at which the piece begins."""
    options = PROGRESSIONS[_valence(plan)]
    roots = options[rng.integers(len(options))]
    first = plan.phrase_bar
    return [scale.chord(roots[bar % 4], sevenths) for bar in range(first, first + n_bars)]


def _lines(
    rng: np.random.Generator, plan: Plan, style: Style, scale: Scale, chords: list[tuple[int, ...]]
) -> list[tuple[str, float, list[Event]]]:
    """(instrument, loudness, events) of every player."""
    lead = INSTRUMENTS[plan.lead]
    middle = min(max(71 + plan.lift, lead.low + 8), lead.high - 8)
    register = (max(middle - 9, lead.low), min(middle + 9, lead.high))
    pace = Pace(plan.beats, style.fastest, plan.activity, plan.phrase_bar)
    tune = melody(rng, scale, chords, register, pace)
    lines = [(plan.lead, 1.0, tune)]
    if plan.comp:
        pattern = style.comp_patterns[rng.integers(len(style.comp_patterns))]
        centre = max(58, INSTRUMENTS[plan.comp].low + 7)
        lines.append((plan.comp, 0.52, comping(pattern, chords, plan.beats, centre)))
    if plan.bass:
        pattern = style.bass_patterns[rng.integers(len(style.bass_patterns))]
        lines.append((plan.bass, 0.85, bass_line(pattern, chords, plan.beats, scale)))
    if plan.kit:
        pattern = style.drum_patterns[rng.integers(len(style.drum_patterns))]
        lines.append((plan.kit, 0.8, drumming(pattern, len(chords), plan.beats, plan.phrase_bar)))
    return lines


def _perform(
    rng: np.random.Generator,
    lines: list[tuple[str, float, list[Event]]],
    plan: Plan,
    style: Style,
    duration_s: float,
) -> tuple[Note, ...]:
    """Musical time to seconds: swing, the players' small timing errors, velocities."""
    notes = []
    beat_s = 60 / plan.tempo_bpm
    for name, loudness, events in lines:
        for event in events:
            late_s = style.looseness_s * float(np.clip(rng.standard_normal(), -2, 2))
            start_s = max(0.0, _swung(event.beat, style.swing) * beat_s + late_s)
            end_s = _swung(event.beat + event.length, style.swing) * beat_s
            touch = (
                plan.force * loudness * (0.75 + 0.4 * event.accent) + 0.03 * rng.standard_normal()
            )
            if start_s < duration_s:
                length_s = max(end_s - start_s, 0.03)
                velocity = int(np.clip(round(100 * touch), 20, 127))
                notes.append(
                    Note(name, event.pitch, round(start_s, 5), round(length_s, 5), velocity)
                )
    return tuple(sorted(notes, key=lambda note: (note.start_s, note.instrument, note.pitch)))


def _swung(beat: float, swing: float) -> float:
    """Delay of the second eighth: at swing 1 the beat divides 2 : 1."""
    whole, part = divmod(beat, 1)
    half = 0.5 + swing / 6
    return whole + (part * 2 * half if part < 0.5 else half + (part - 0.5) * 2 * (1 - half))


def _density(plan: Plan, style: Style) -> str:
    low, high = style.activity
    place = (plan.activity - low) / (high - low)
    players = sum(part is not None for part in (plan.comp, plan.bass, plan.kit))
    return DENSITIES[
        int(np.clip(round(place * 1.2 + (players - 1.6) * 0.5 + plan.activity - 0.4), 0, 2))
    ]


def _valence(plan: Plan) -> str:
    return {
        ("major", True): "happy", ("major", False): "warm",
        ("minor", True): "melancholic", ("minor", False): "dark",
    }[plan.mode, plan.lift > 0]  # fmt: skip


def _moods(plan: Plan, style: Style) -> tuple[str, ...]:
    """Two or three words that can be heard: mode and register, force and tempo, density."""
    valence = _valence(plan)
    fast, loud = plan.tempo_bpm >= 100, plan.force > 1
    arousal = {
        (True, True): "energetic", (True, False): "playful",
        (False, True): "dramatic", (False, False): "mellow",
    }[fast, loud]  # fmt: skip
    density = _density(plan, style)
    return (valence, arousal) if density == "medium" else (valence, arousal, density)
