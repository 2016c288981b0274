"""Random singers and choirs: the parameters of their voices."""

from dataclasses import dataclass, replace

import numpy as np

KINDS = ("female vocals", "male vocals", "choir", "spoken word", "rap")
_SHARES = (0.34, 0.3, 0.12, 0.1, 0.14)


@dataclass(frozen=True)
class Voice:
    """Parameters of a voice."""

    kind: str
    """One of ``KINDS``."""
    tract: float
    """Formants relative to an adult man's: about 1.17 for women, 1.3 for children."""
    centre: float
    """MIDI pitch around which it sings or speaks."""
    vibrato_hz: float
    vibrato_cents: float
    breath: float
    """Noise in the tone, 0..0.3."""
    tilt_hz: float
    """Above it the spectrum falls by a further 6 dB per octave: low is soft, high is pressed."""
    open_quotient: float
    """Share of a cycle in which the glottis is open, 0.45..0.75."""
    jitter: float
    """Relative random change of length from one cycle to the next."""
    glide_s: float
    """Time constant of glides between notes."""
    wordless: bool
    """Whether it sings vowels only."""
    gain_db: float
    """Level relative to the music."""
    room: float
    """Level of its reverberation."""


def random_voice(seed: int, kind: str | None = None) -> Voice:
    """Random voice of a seed, of the kind given or a random one. ValueError for unknown kinds."""
    rng = np.random.default_rng([2040, seed])
    chosen = str(rng.choice(KINDS, p=_SHARES))
    kind = kind or chosen
    if kind not in KINDS:
        raise ValueError(f"no voice {kind!r}; known: {', '.join(KINDS)}")
    is_high = kind == "female vocals" or (kind != "male vocals" and rng.random() < 0.45)
    is_spoken = kind in ("spoken word", "rap")
    middle = (57.0 if is_high else 46.0) if is_spoken else (66.0 if is_high else 55.0)
    return Voice(
        kind=kind,
        tract=float(rng.uniform(1.1, 1.28) if is_high else rng.uniform(0.92, 1.06)),
        centre=middle + float(rng.uniform(-3, 4)),
        vibrato_hz=float(rng.uniform(4.6, 6.8)),
        vibrato_cents=0.0 if is_spoken else float(rng.uniform(5, 75)),
        breath=float(rng.uniform(0.01, 0.2)),
        tilt_hz=float(np.exp(rng.uniform(np.log(1200), np.log(9000)))),
        open_quotient=float(rng.uniform(0.45, 0.75)),
        jitter=float(rng.uniform(0.002, 0.012)),
        glide_s=float(rng.uniform(0.012, 0.05)),
        wordless=bool(not is_spoken and rng.random() < (0.4 if kind == "choir" else 0.08)),
        gain_db=float(rng.uniform(-3, 7)),
        room=float(rng.uniform(0.0, 0.5)),
    )


def singers_with_pan(voice: Voice, seed: int) -> list[tuple[Voice, float]]:
    """(voice, pan) of each singer: one, or four to six varied ones for a choir."""
    rng = np.random.default_rng([2042, seed])
    if voice.kind != "choir":
        return [(voice, float(rng.uniform(-0.2, 0.2)))]
    singers = []
    for place in np.linspace(-0.8, 0.8, int(rng.integers(4, 7))):
        is_high = rng.random() < 0.5
        singer = replace(
            voice,
            tract=float(rng.uniform(1.1, 1.25) if is_high else rng.uniform(0.92, 1.05)),
            centre=voice.centre + (6.0 if is_high else -6.0),
            vibrato_hz=voice.vibrato_hz * float(rng.uniform(0.9, 1.1)),
            vibrato_cents=voice.vibrato_cents * float(rng.uniform(0.3, 1.0)),
            tilt_hz=voice.tilt_hz * float(rng.uniform(0.7, 1.2)),
        )
        singers.append((singer, float(place)))
    return singers
