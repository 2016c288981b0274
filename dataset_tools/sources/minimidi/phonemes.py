"""Phonemes of a voice: vowels, consonants of voicing, noise and formants; random syllables."""

from dataclasses import dataclass

import numpy as np

VOWELS: dict[str, tuple[float, float, float]] = {
    "i": (270.0, 2290.0, 3010.0),
    "I": (390.0, 1990.0, 2550.0),
    "e": (530.0, 1840.0, 2480.0),
    "ae": (660.0, 1720.0, 2410.0),
    "a": (730.0, 1090.0, 2440.0),
    "o": (570.0, 840.0, 2410.0),
    "U": (440.0, 1020.0, 2240.0),
    "u": (300.0, 870.0, 2240.0),
    "uh": (640.0, 1190.0, 2390.0),
    "er": (490.0, 1350.0, 1690.0),
}
"""First three formants of adult male voices in Hz: means of Peterson & Barney 1952, table II."""
UPPER_HZ = (3500.0, 4500.0)
"""Fourth and fifth formant of the same voices, nearly the same for all vowels."""
DIPHTHONGS = (("a", "I"), ("a", "U"), ("e", "I"), ("o", "U"), ("o", "I"))


@dataclass(frozen=True)
class Consonant:
    """Length, levels and formants of a consonant before or after a vowel."""

    length_s: float
    voicing: float = 0.0
    """Level of the glottal pulses relative to a vowel."""
    breath: float = 0.0
    """Level of noise at the glottis, which passes the formants."""
    hiss: float = 0.0
    """Level of noise at the lips, teeth or palate, which bypasses the formants."""
    hiss_hz: float = 4000.0
    place: tuple[float, float, float] | None = None
    """Target formants, Hz; None for those of the vowel."""
    burst: bool = False
    """Whether it begins closed, so that its noise sounds only as it opens."""


_LIPS, _TEETH, _PALATE = (250.0, 900.0, 2200.0), (300.0, 1700.0, 2600.0), (280.0, 2100.0, 2700.0)
CONSONANTS: dict[str, Consonant] = {
    "m": Consonant(0.07, 0.4, place=_LIPS),
    "n": Consonant(0.06, 0.4, place=_TEETH),
    "l": Consonant(0.06, 0.55, place=(340.0, 1200.0, 2800.0)),
    "r": Consonant(0.07, 0.55, place=(350.0, 1150.0, 1600.0)),
    "w": Consonant(0.07, 0.5, place=(290.0, 650.0, 2200.0)),
    "y": Consonant(0.06, 0.5, place=_PALATE),
    "b": Consonant(0.06, 0.12, hiss=0.25, hiss_hz=900.0, place=_LIPS, burst=True),
    "d": Consonant(0.055, 0.12, hiss=0.3, hiss_hz=3800.0, place=_TEETH, burst=True),
    "g": Consonant(0.06, 0.12, hiss=0.3, hiss_hz=2000.0, place=_PALATE, burst=True),
    "p": Consonant(0.1, breath=0.5, hiss=0.4, hiss_hz=1000.0, place=_LIPS, burst=True),
    "t": Consonant(0.09, breath=0.5, hiss=0.8, hiss_hz=4300.0, place=_TEETH, burst=True),
    "k": Consonant(0.1, breath=0.5, hiss=0.6, hiss_hz=2200.0, place=_PALATE, burst=True),
    "s": Consonant(0.11, hiss=0.9, hiss_hz=6300.0, place=_TEETH),
    "sh": Consonant(0.12, hiss=0.9, hiss_hz=3300.0, place=_PALATE),
    "f": Consonant(0.1, hiss=0.3, hiss_hz=5200.0, place=_LIPS),
    "h": Consonant(0.07, breath=0.8),
    "v": Consonant(0.06, 0.35, hiss=0.15, hiss_hz=5000.0, place=_LIPS),
    "z": Consonant(0.08, 0.3, hiss=0.5, hiss_hz=6000.0, place=_TEETH),
}
_ONSETS = ("", *CONSONANTS)
_CODAS = ("m", "n", "l", "s", "t", "z", "k")


@dataclass(frozen=True)
class Syllable:
    """A consonant, a vowel that moves to a second one, and a consonant; "" for no consonant."""

    onset: str
    vowels: tuple[str, str]
    coda: str


def random_syllable(rng: np.random.Generator, wordless: bool = False) -> Syllable:
    """Random syllable, half of them with a diphthong or coda; ``wordless``: a single vowel."""
    names = tuple(VOWELS)
    vowel = names[int(rng.integers(len(names)))]
    if wordless:
        return Syllable("", (vowel, vowel), "")
    onset = _ONSETS[int(rng.integers(len(_ONSETS)))]
    vowels = (vowel, vowel)
    if rng.random() < 0.3:
        vowels = DIPHTHONGS[int(rng.integers(len(DIPHTHONGS)))]
    coda = _CODAS[int(rng.integers(len(_CODAS)))] if rng.random() < 0.3 else ""
    return Syllable(onset, vowels, coda)
