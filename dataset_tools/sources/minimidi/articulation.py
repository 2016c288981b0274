"""Turn syllables into a voice: curves of pitch, levels and formants, and from them the sound."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from .phonation import VoiceCurves, phonate
from .phonemes import CONSONANTS, UPPER_HZ, VOWELS, Consonant
from .singers import Voice
from .vocal_line import SungSyllable

FRAMES_PER_S = 200
"""Rate at which pitch, levels and formants are set."""
PAUSE_S = 0.3
"""Shortest pause in which a singer breathes in."""


def render_singer(
    syllables: list[SungSyllable], voice: Voice, n_samples: int, sr: int, rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Sound of one voice, without reverberation; its level is arbitrary."""
    hop = sr // FRAMES_PER_S
    time_s = np.arange(n_samples // hop + 2) * (hop / sr)
    midi = _pitch_curve(syllables, voice, time_s, rng)
    f0 = 440 * 2 ** ((midi - 69) / 12)
    curves = _voice_curves(syllables, voice, time_s, f0)
    noise = rng.standard_normal(n_samples).astype(np.float32)
    return phonate(curves, noise, sr, hop, voice.open_quotient, voice.tilt_hz, voice.jitter)


def _pitch_curve(
    syllables: list[SungSyllable],
    voice: Voice,
    time_s: Float[np.ndarray, " frames"],
    rng: np.random.Generator,
) -> Float[np.ndarray, " frames"]:
    """MIDI pitch: notes joined by glides, phrases that begin with a scoop, vibrato and drift."""
    turns = [turn for sung in syllables for turn in sung.pitches]
    if not turns:
        return np.full(len(time_s), voice.centre)
    starts_s, pitches = np.array(turns).T
    at = np.maximum(np.searchsorted(starts_s - 0.02, time_s, side="right") - 1, 0)
    since_s = time_s - starts_s[at]
    midi = pitches[at]
    begins = np.diff(starts_s, prepend=-9.0) > 2 * PAUSE_S
    scoop = rng.uniform(0, 2.0, len(starts_s)) * begins
    midi = midi - scoop[at] * np.exp(-np.maximum(since_s, 0) / 0.06)
    midi = gaussian_filter1d(midi, max(voice.glide_s * FRAMES_PER_S, 0.5))
    drift = gaussian_filter1d(rng.standard_normal(len(time_s)), FRAMES_PER_S / 8)
    midi = midi + 0.12 * drift / max(drift.std(), 1e-9)
    depth = voice.vibrato_cents / 100 * np.clip((since_s - 0.12) / 0.3, 0, 1)
    rate = voice.vibrato_hz * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * time_s + rng.uniform(0, 6)))
    return midi + depth * np.sin(2 * np.pi * np.cumsum(rate) / FRAMES_PER_S)


def _voice_curves(
    syllables: list[SungSyllable],
    voice: Voice,
    time_s: Float[np.ndarray, " frames"],
    f0: Float[np.ndarray, " frames"],
) -> VoiceCurves:
    """Levels and formants at every frame, linear between the syllables' control points."""
    neutral = _formants_of_voice(VOWELS["uh"], voice)
    points: list[tuple[float, ...]] = [(0.0, 0.0, 0.0, 0.0, 4000.0, *neutral)]
    for i, sung in enumerate(syllables):
        before_s = syllables[i - 1].end_s if i else -1.0
        if sung.start_s - before_s > PAUSE_S and sung.start_s > 0.5:
            points += _inhalation_points(sung.start_s - 0.1, neutral)
        following = syllables[i + 1] if i + 1 < len(syllables) else None
        points += _syllable_points(sung, following, voice, points[-1][0])
    table = np.array(points)
    at_s = np.maximum.accumulate(table[:, 0])
    voicing, breath, hiss, hiss_hz, *formants = (
        np.interp(time_s, at_s, column) for column in table.T[1:]
    )
    formants = np.stack(formants)
    formants[0] = np.maximum(formants[0], 1.03 * f0)  # singers open the mouth for high notes
    return VoiceCurves(f0, voicing, breath + voice.breath * voicing, hiss, hiss_hz, formants)


def _inhalation_points(end_s: float, formants: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Curve points of the noise of a breath that ends at ``end_s``."""
    return [
        (end_s - 0.2, 0.0, 0.0, 0.0, 2500.0, *formants),
        (end_s - 0.08, 0.0, 0.12, 0.03, 2500.0, *formants),
        (end_s, 0.0, 0.0, 0.0, 2500.0, *formants),
    ]


def _syllable_points(
    sung: SungSyllable, following: SungSyllable | None, voice: Voice, after_s: float
) -> list[tuple[float, ...]]:
    """Control points (time, voicing, breath, hiss, hiss Hz, formants) of one syllable."""
    first, second = (_formants_of_voice(VOWELS[name], voice) for name in sung.syllable.vowels)
    onset, coda = (CONSONANTS.get(name) for name in (sung.syllable.onset, sung.syllable.coda))
    is_joined = following is not None and following.start_s - sung.end_s < 0.06
    end_s = sung.end_s
    if is_joined and following and (next_onset := CONSONANTS.get(following.syllable.onset)):
        end_s -= min(next_onset.length_s, 0.4 * (end_s - sung.start_s))
    level, points = sung.level, []
    if onset:
        start_s = max(sung.start_s - onset.length_s, after_s)
        points += _consonant_points(onset, start_s, sung.start_s, level, first, voice)
    elif sung.start_s - after_s > 0.03:
        points.append((sung.start_s - 0.02, 0.0, 0.0, 0.0, 4000.0, *first))
    length_s = end_s - sung.start_s
    settled_s = sung.start_s + min(0.045, 0.3 * length_s)
    points.append((settled_s, level, 0.0, 0.0, 4000.0, *first))
    if coda and length_s > 0.18:
        end_s -= min(coda.length_s, 0.3 * length_s)
    points.append((end_s - 0.25 * length_s, level, 0.0, 0.0, 4000.0, *second))
    points.append((end_s - 0.01, 0.75 * level, 0.0, 0.0, 4000.0, *second))
    if coda and length_s > 0.18:
        points += _consonant_points(coda, end_s, end_s + coda.length_s, 0.7 * level, second, voice)
    if not is_joined:
        points.append((points[-1][0] + 0.06, 0.0, 0.0, 0.0, 4000.0, *second))
    return points


def _consonant_points(
    consonant: Consonant,
    start_s: float,
    end_s: float,
    level: float,
    vowel: tuple[float, ...],
    voice: Voice,
) -> list[tuple[float, ...]]:
    """Curve points of a consonant before or after its vowel."""
    formants = _formants_of_voice(consonant.place, voice) if consonant.place else vowel
    hiss_hz = consonant.hiss_hz * (0.5 + 0.5 * voice.tract)
    span_s = end_s - start_s
    sound = (level * consonant.voicing, level * consonant.breath, level * consonant.hiss, hiss_hz)
    if not consonant.burst:
        return [(start_s + a * span_s, *sound, *formants) for a in (0.25, 0.8)]
    closed = (level * consonant.voicing, 0.0, 0.0, hiss_hz)
    opens_s = start_s + span_s * (0.45 if consonant.breath else 0.75)
    return [
        (start_s + 0.15 * span_s, *closed, *formants),
        (opens_s, *closed, *formants),
        (opens_s + 0.004, *sound, *formants),
        (opens_s + 0.018, sound[0], sound[1], 0.1 * sound[2], hiss_hz, *formants),
    ]


def _formants_of_voice(lowest: tuple[float, float, float], voice: Voice) -> tuple[float, ...]:
    return tuple(hz * voice.tract for hz in (*lowest, *UPPER_HZ))
