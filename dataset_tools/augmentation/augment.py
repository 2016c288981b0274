"""Augment training clips before encoding, and say what was drawn: ``dmm data build --augment``.

Everything is drawn from a seed text, whatever else is built. Limits are such that words stay true:
within 6 % no slow piece turns fast and within two semitones no flute turns piccolo; numbers and
keys, which do change, are told anew by ``caption_after``.
"""

import hashlib
import math
from collections.abc import Collection
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dmm.errors import InputError

from ..beats import first_beat
from .caption_after import caption_after as caption_after
from .mixup import FADE_S, looped, mix
from .stretch import change_tempo_and_pitch

AUGMENTATIONS = {
    "gain": "louder or softer, -6 to +3 dB, never beyond full scale",
    "roll": "begin on another beat; what was before it comes at the end",
    "pitch": "up or down by at most 2 semitones, whole ones, so that tuning stays",
    "tempo": "slower or faster by at most 6 %",
    "mixup": "mix in another clip of nearly the same tempo, beat on beat (MusicLDM, 2023)",
    # Generators learn what they see: after SpecAugment they draw black bars. Classifiers, for
    # which it was made, put nothing out, so they may be shown damaged pictures.
    "spec": "black out bands and moments of the picture (SpecAugment, 2019); off by default,"
    " because a generative model learns to draw the bars",
}
"""Name: what it does, in words for the command line."""
GAIN_DB = (-6.0, 3.0)
TEMPO = (0.94, 1.06)
SEMITONES = (-2, -1, 1, 2)
MASKS, LARGEST_MASK = 2, 1 / 16
"""Of each direction, and their largest share of it; Park et al.'s policies mask more."""


def parse_names(text: str) -> tuple[str, ...]:
    """Read a comma list of augmentations; InputError lists those there are.

    >>> parse_names("gain, roll")
    ('gain', 'roll')
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in AUGMENTATIONS]
    if unknown:
        raise InputError(f"no augmentation {unknown[0]!r}; known: {', '.join(AUGMENTATIONS)}")
    return names


def augment(
    segment: Float[np.ndarray, "channels samples"],
    sr: int,
    clip_samples: int,
    names: Collection[str],
    seed_text: str,
    partner: Float[np.ndarray, "channels partner_samples"] | None = None,
) -> tuple[Float[np.ndarray, "channels clip_samples"], dict[str, Any]]:
    """Make a clip of a segment, and say what was drawn, ready for JSON.

    The segment holds the clip and what follows it: a faster tempo and the roll's fade use up
    6 % and 10 ms more, and less is drawn where there is less. ``partner`` is sound to mix in.
    ``spec`` is for the picture: ``spec_augment``. ValueError for less than a clip.
    """
    if segment.shape[1] < clip_samples:
        raise ValueError(f"{segment.shape[1]} samples; a clip has {clip_samples}")
    fade = round(FADE_S * sr) if "roll" in names else 0
    drawn: dict[str, Any] = {}
    sound = _change(segment, clip_samples + fade, clip_samples, names, seed_text, drawn)
    if "mixup" in names and partner is not None:
        sound = mix(sound, partner, sr, _generator(seed_text, "mixup"), drawn)
    clip = sound[:, :clip_samples]
    if fade:
        clip, drawn["roll_s"] = _roll(sound, clip_samples, sr, _generator(seed_text, "roll"))
    return _amplify(clip, names, seed_text, drawn), drawn


def _generator(seed_text: str, name: str) -> np.random.Generator:
    """One for each augmentation, so that leaving one out does not change the others."""
    digest = hashlib.sha256(f"{name} {seed_text}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))


def _change(
    segment: Float[np.ndarray, "channels samples"],
    wanted: int,
    clip_samples: int,
    names: Collection[str],
    seed_text: str,
    drawn: dict[str, Any],
) -> Float[np.ndarray, "channels wanted"]:
    """Draw tempo and pitch and apply both at once; ``wanted`` samples come back."""
    tempo, semitones = 1.0, 0
    if "tempo" in names:
        slow, fast = TEMPO
        fastest = min(fast, segment.shape[1] / clip_samples)
        tempo = _generator(seed_text, "tempo").uniform(slow, fastest)
        tempo = drawn["tempo"] = math.floor(1000 * tempo) / 1000
    if "pitch" in names:
        semitones = int(_generator(seed_text, "pitch").choice(SEMITONES))
        drawn["pitch_semitones"] = semitones
    sound = segment
    if tempo != 1 or semitones:
        needed = segment[:, : int(np.ceil((wanted + 2) * tempo))]
        sound = change_tempo_and_pitch(needed, tempo, semitones)
    short = max(0, wanted - sound.shape[1])
    return np.pad(sound, ((0, 0), (0, short)), mode="reflect")[:, :wanted]


def _roll(
    sound: Float[np.ndarray, "channels samples"],
    clip_samples: int,
    sr: int,
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, "channels clip_samples"], float]:
    """Begin at the first beat after a random place; the seam is faded by what follows the clip."""
    place = int(generator.integers(clip_samples))
    turned = np.roll(looped(sound, clip_samples), -place, axis=1)
    beat = first_beat(turned, sr)
    return np.roll(turned, -beat, axis=1), round((place + beat) % clip_samples / sr, 4)


def _amplify(
    clip: Float[np.ndarray, "channels samples"],
    names: Collection[str],
    seed_text: str,
    drawn: dict[str, Any],
) -> Float[np.ndarray, "channels samples"]:
    """Draw the gain; even without it, what passes full scale by other changes is turned down."""
    peak = float(np.abs(clip).max(initial=0))
    headroom_db = -20 * math.log10(peak) if peak > 0 else math.inf
    softest, loudest = GAIN_DB
    if "gain" in names:
        drawn_db = float(_generator(seed_text, "gain").uniform(softest, loudest))
        gain_db = drawn["gain_db"] = round(min(drawn_db, headroom_db) - 0.005, 2)
    elif headroom_db < 0:
        gain_db = drawn["gain_db"] = round(headroom_db - 0.005, 2)
    else:
        return clip.astype(np.float32)
    return np.clip(clip * 10 ** (gain_db / 20), -1, 1).astype(np.float32)


def spec_augment(
    image: UInt8[np.ndarray, "rows frames *colours"], seed_text: str
) -> tuple[UInt8[np.ndarray, "rows frames *colours"], dict[str, Any]]:
    """Set two bands of rows and two of columns to silence, 0, at most a 16th of the picture each.

    Park et al. 2019, "SpecAugment", without the time warp, which the tempo stands for.
    """
    generator = _generator(seed_text, "spec")
    masked, drawn = image.copy(), {}
    for axis, name in enumerate(("rows", "frames")):
        drawn[name] = []
        for _ in range(MASKS):
            size = int(generator.integers(1, max(2, round(image.shape[axis] * LARGEST_MASK) + 1)))
            start = int(generator.integers(image.shape[axis] - size + 1))
            np.moveaxis(masked, axis, 0)[start : start + size] = 0
            drawn[name].append([start, size])
    return masked, {"spec": drawn}
