"""Timbres of the instruments, as numbers that ``held_note`` turns into sound."""

from dataclasses import dataclass
from math import pi, sin


def harmonics(count: int, tilt: float, even: float = 1.0) -> tuple[tuple[float, float], ...]:
    """(ratio, amplitude) of a harmonic series: amplitude n^-tilt, even ones scaled by ``even``.

    >>> harmonics(3, 1.0, even=0.0)
    ((1.0, 1.0), (2.0, 0.0), (3.0, 0.3333333333333333))
    """
    return tuple((float(n), n**-tilt * (even if n % 2 == 0 else 1.0)) for n in range(1, count + 1))


def pulse_partials(count: int, duty: float) -> tuple[tuple[float, float], ...]:
    """(ratio, amplitude) of a pulse wave; every (1/duty)-th harmonic is missing."""
    return tuple((float(n), abs(sin(pi * n * duty)) / n) for n in range(1, count + 1))


@dataclass(frozen=True)
class FilterSweep:
    """A low-pass filter whose cutoff glides while the note sounds."""

    start_hz: float
    end_hz: float
    time_s: float
    resonance: float
    """Gain added at the cutoff; 0 is a plain low-pass."""


@dataclass(frozen=True)
class Instrument:
    """One timbre; frequencies in Hz, times in seconds."""

    name: str
    program: int
    """General MIDI program, 0-based."""
    low: int
    """Lowest MIDI pitch it plays."""
    high: int
    partials: tuple[tuple[float, float], ...]
    """(frequency ratio, amplitude)."""
    attack_s: float = 0.005
    decay_s: float = 0.5
    """Time constant of the decay to ``sustain``; a partial's is divided by 1 + damping * kHz."""
    sustain: float = 0.0
    """Level held after the decay, 0..1; 0 for a struck or plucked instrument."""
    release_s: float = 0.08
    """Time constant of the decay after the key is released."""
    damping: float = 0.0
    """How much faster partials decay, per kHz of their frequency, the fundamental too."""
    bloom_s: float = 0.0
    """How much later high partials rise, seconds per kHz."""
    stiffness: float = 0.0
    """Inharmonicity B of a stiff string: f_n = n f0 sqrt(1 + B n^2)."""
    cutoff_hz: float = 20_000.0
    """Fixed second-order low-pass on the spectrum."""
    vibrato_hz: float = 5.0
    vibrato_cents: float = 0.0
    tremolo_hz: float = 5.0
    tremolo_depth: float = 0.0
    detune_cents: tuple[float, ...] = (0.0,)
    """Each entry adds a copy of the spectrum."""
    noise: float = 0.0
    """Level of noise relative to the tone; with ``noise_decay_s`` it starts ten times as loud."""
    noise_hz: float = 2000.0
    noise_decay_s: float = 0.0
    """Time constant of the noise's decay; 0: the noise lasts as long as the tone."""
    sweep: FilterSweep | None = None
    gain: float = 1.0
    pan: float = 0.0
    """-1 left .. 1 right."""


_STRUCK_BAR = ((1.0, 1.0), (3.93, 0.35), (9.2, 0.12))
_VIBE_BAR = ((1.0, 1.0), (4.0, 0.28), (10.0, 0.05))
_COMB = ((1.0, 1.0), (2.0, 0.12), (5.4, 0.45), (6.27, 0.25), (11.1, 0.22), (17.5, 0.1))
_TINE = ((1.0, 1.0), (2.0, 0.3), (3.0, 0.07), (7.1, 0.16), (14.0, 0.07))
_DRAWBARS = (
    (0.5, 0.5),
    (1.0, 1.0),
    (1.5, 0.5),
    (2.0, 0.7),
    (3.0, 0.4),
    (4.0, 0.5),
    (6.0, 0.25),
    (8.0, 0.35),
)

_ALL = (
    Instrument(
        "piano", 0, 36, 88, harmonics(24, 1.15), attack_s=0.003, decay_s=0.9, damping=0.55,
        stiffness=4e-4, cutoff_hz=4500.0, detune_cents=(-0.8, 0.8), noise=0.03, noise_hz=900.0,
        noise_decay_s=0.02, release_s=0.07, pan=-0.1,
    ),
    Instrument(
        "electric piano", 4, 36, 86, _TINE, attack_s=0.004, decay_s=1.1, damping=0.9,
        tremolo_hz=4.5, tremolo_depth=0.35, release_s=0.09, pan=0.1,
    ),
    Instrument(
        "vibraphone", 11, 53, 89, _VIBE_BAR, attack_s=0.003, decay_s=1.5, damping=1.2,
        tremolo_hz=6.2, tremolo_depth=0.75, release_s=0.25, pan=0.25,
    ),
    Instrument(
        "marimba", 12, 45, 89, _STRUCK_BAR, attack_s=0.002, decay_s=0.16, damping=1.5,
        noise=0.04, noise_hz=1500.0, noise_decay_s=0.008, release_s=0.1, pan=0.2,
    ),
    Instrument(
        "organ", 16, 40, 86, _DRAWBARS, attack_s=0.008, decay_s=1.0, sustain=1.0, vibrato_hz=6.6,
        vibrato_cents=7.0, tremolo_hz=6.6, tremolo_depth=0.15, release_s=0.02, pan=-0.2,
    ),
    Instrument(
        "nylon guitar", 24, 40, 83, harmonics(18, 1.5, even=0.75), attack_s=0.002, decay_s=0.42,
        damping=1.3, cutoff_hz=3000.0, noise=0.08, noise_hz=2500.0, noise_decay_s=0.006,
        release_s=0.05, pan=0.2,
    ),
    Instrument(
        "steel guitar", 25, 40, 84, harmonics(26, 0.95, even=1.2), attack_s=0.002, decay_s=0.85,
        damping=0.45, stiffness=1.5e-4, cutoff_hz=6500.0, detune_cents=(-2.5, 2.5), noise=0.1,
        noise_hz=4500.0, noise_decay_s=0.008, release_s=0.06, pan=-0.25,
    ),
    Instrument(
        "upright bass", 32, 28, 50, harmonics(14, 1.3), attack_s=0.012, decay_s=0.5, damping=3.0,
        cutoff_hz=700.0, noise=0.06, noise_hz=500.0, noise_decay_s=0.015, release_s=0.05, gain=1.25,
    ),
    Instrument(
        "synth bass", 38, 28, 52, harmonics(40, 0.9), attack_s=0.004, decay_s=0.6, sustain=0.55,
        release_s=0.03, sweep=FilterSweep(2600.0, 380.0, 0.09, 1.5), gain=1.15,
    ),
    Instrument(
        "strings", 48, 43, 88, harmonics(28, 1.0), attack_s=0.11, decay_s=1.0, sustain=1.0,
        cutoff_hz=3800.0, detune_cents=(-9.0, 0.0, 8.0), vibrato_hz=5.4, vibrato_cents=11.0,
        release_s=0.16,
    ),
    Instrument(
        "brass", 61, 43, 82, harmonics(26, 0.75), attack_s=0.03, bloom_s=0.035, decay_s=0.35,
        sustain=0.75, cutoff_hz=2600.0, vibrato_hz=5.0, vibrato_cents=5.0, release_s=0.05, pan=0.1,
    ),
    Instrument(
        "clarinet", 71, 50, 88, harmonics(16, 0.85, even=0.06), attack_s=0.03, decay_s=1.0,
        sustain=0.95, cutoff_hz=2600.0, vibrato_hz=4.6, vibrato_cents=4.0,
        release_s=0.05, pan=-0.15,
    ),
    Instrument(
        "flute", 73, 60, 91, ((1.0, 1.0), (2.0, 0.32), (3.0, 0.09), (4.0, 0.02)), attack_s=0.05,
        decay_s=1.0, sustain=1.0, vibrato_hz=5.2, vibrato_cents=20.0, tremolo_hz=5.2,
        tremolo_depth=0.25, noise=0.005, noise_hz=2200.0, release_s=0.07, pan=0.15,
    ),
    Instrument(
        "saw lead", 81, 48, 88, harmonics(60, 1.0), attack_s=0.004, decay_s=0.5, sustain=0.7,
        cutoff_hz=9000.0, detune_cents=(-11.0, 11.0), release_s=0.04, gain=0.9,
    ),
    Instrument(
        "pad", 89, 43, 84, harmonics(8, 1.9), attack_s=0.3, decay_s=1.0, sustain=1.0,
        cutoff_hz=1500.0, detune_cents=(-7.0, 0.0, 6.0), tremolo_hz=0.7, tremolo_depth=0.3,
        release_s=0.4,
    ),
    Instrument(
        "music box", 10, 60, 91, _COMB, attack_s=0.001, decay_s=0.7, damping=0.35,
        noise=0.1, noise_hz=6500.0, noise_decay_s=0.004, release_s=0.5, pan=0.1,
    ),
    Instrument(
        "pulse lead", 80, 48, 91, pulse_partials(64, 0.25), attack_s=0.001, decay_s=0.12,
        sustain=0.6, release_s=0.006, vibrato_hz=7.0, vibrato_cents=16.0,
    ),
    Instrument(
        "chip bass", 87, 28, 55, harmonics(31, 1.6, even=0.0), attack_s=0.001, decay_s=1.0,
        sustain=1.0, release_s=0.004, gain=1.1,
    ),
    Instrument(
        "dub chord", 90, 48, 84, harmonics(32, 0.9), attack_s=0.003, decay_s=0.22,
        detune_cents=(-8.0, 7.0), release_s=0.12, sweep=FilterSweep(3200.0, 450.0, 0.07, 2.5),
    ),
    Instrument(
        "saxophone", 65, 48, 84, harmonics(22, 0.6, even=0.8), attack_s=0.035, bloom_s=0.02,
        decay_s=0.5, sustain=0.8, cutoff_hz=1900.0, vibrato_hz=5.3, vibrato_cents=24.0, noise=0.02,
        noise_hz=3000.0, release_s=0.07, pan=-0.1,
    ),
    Instrument(
        "accordion", 21, 48, 88, pulse_partials(40, 0.12), attack_s=0.03, decay_s=1.0, sustain=1.0,
        cutoff_hz=3400.0, detune_cents=(-13.0, 0.0, 13.0), tremolo_hz=5.6, tremolo_depth=0.12,
        release_s=0.03, pan=0.15,
    ),
    Instrument(
        "analog lead", 84, 48, 86, harmonics(50, 0.8), attack_s=0.02, decay_s=0.8, sustain=0.85,
        detune_cents=(-17.0, 0.0, 15.0), vibrato_hz=5.8, vibrato_cents=14.0, release_s=0.18,
        sweep=FilterSweep(700.0, 4200.0, 0.3, 3.5),
    ),
)  # fmt: skip

INSTRUMENTS: dict[str, Instrument] = {instrument.name: instrument for instrument in _ALL}
