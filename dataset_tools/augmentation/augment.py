"""Augment the sound of training clips by random parameters: ``dmm data build --augment``.

All parameters depend on a seed text alone. The ranges are small, so that captions stay true: within
6 % no slow piece becomes fast, and within two semitones no flute becomes a piccolo. Tempo figures
and key names do change; ``augmented_caption`` updates them.
"""

import hashlib
import math
from collections.abc import Collection
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from ..beats import first_beat
from .mixup import FADE_S, cut_to_loop, mix
from .stretch import change_tempo_and_pitch

GAIN_DB = (-6.0, 3.0)
TEMPO = (0.94, 1.06)
SEMITONES = (-2, -1, 1, 2)
"""Whole semitones, so that the tuning stays."""
MASKS, MAX_MASK = 2, 1 / 16
"""Masks in each direction, and their largest share of it; Park et al.'s policies mask more."""


def augment(
    segment: Float[np.ndarray, "channels samples"],
    sr: int,
    clip_samples: int,
    names: Collection[str],
    seed_text: str,
    partner: Float[np.ndarray, "channels partner_samples"] | None = None,
) -> tuple[Float[np.ndarray, "channels clip_samples"], dict[str, Any]]:
    """Cut an augmented clip from a segment; returns it and the parameters, as JSON values.

    The segment holds the clip and the sound after it: a faster tempo needs 6 % more and the fade of
    ``roll`` 10 ms; with less sound the tempo is limited. ``partner`` is sound for ``mixup``.
    ``spec`` is ignored here: see ``spec_augment``. ValueError for less than a clip.
    """
    if segment.shape[1] < clip_samples:
        raise ValueError(f"{segment.shape[1]} samples; a clip has {clip_samples}")
    fade = round(FADE_S * sr) if "roll" in names else 0
    parameters: dict[str, Any] = {}
    sound = _stretch_and_shift(
        segment, clip_samples + fade, clip_samples, names, seed_text, parameters
    )
    if "mixup" in names and partner is not None:
        sound = mix(sound, partner, sr, _seeded_generator(seed_text, "mixup"), parameters)
    clip = sound[:, :clip_samples]
    if fade:
        clip, parameters["roll_s"] = _roll_to_beat(
            sound, clip_samples, sr, _seeded_generator(seed_text, "roll")
        )
    return _apply_gain(clip, names, seed_text, parameters), parameters


def _seeded_generator(seed_text: str, name: str) -> np.random.Generator:
    """Random generator of one augmentation, so that leaving one out does not change the others."""
    digest = hashlib.sha256(f"{name} {seed_text}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8]))


def _stretch_and_shift(
    segment: Float[np.ndarray, "channels samples"],
    wanted: int,
    clip_samples: int,
    names: Collection[str],
    seed_text: str,
    parameters: dict[str, Any],
) -> Float[np.ndarray, "channels wanted"]:
    """Change tempo and pitch to ``wanted`` samples; adds the random amounts to ``parameters``."""
    tempo, semitones = 1.0, 0
    if "tempo" in names:
        slow, fast = TEMPO
        fastest = min(fast, segment.shape[1] / clip_samples)
        tempo = _seeded_generator(seed_text, "tempo").uniform(slow, fastest)
        tempo = parameters["tempo"] = math.floor(1000 * tempo) / 1000
    if "pitch" in names:
        semitones = int(_seeded_generator(seed_text, "pitch").choice(SEMITONES))
        parameters["pitch_semitones"] = semitones
    sound = segment
    if tempo != 1 or semitones:
        needed = segment[:, : int(np.ceil((wanted + 2) * tempo))]
        sound = change_tempo_and_pitch(needed, tempo, semitones)
    short = max(0, wanted - sound.shape[1])
    return np.pad(sound, ((0, 0), (0, short)), mode="reflect")[:, :wanted]


def _roll_to_beat(
    sound: Float[np.ndarray, "channels samples"],
    clip_samples: int,
    sr: int,
    generator: np.random.Generator,
) -> tuple[Float[np.ndarray, "channels clip_samples"], float]:
    """Rotate the clip to the first beat after a random position; returns it and the shift (s).

    The seam is crossfaded with the sound after the clip.
    """
    position = int(generator.integers(clip_samples))
    rotated = np.roll(cut_to_loop(sound, clip_samples), -position, axis=1)
    beat = first_beat(rotated, sr)
    return np.roll(rotated, -beat, axis=1), round((position + beat) % clip_samples / sr, 4)


def _apply_gain(
    clip: Float[np.ndarray, "channels samples"],
    names: Collection[str],
    seed_text: str,
    parameters: dict[str, Any],
) -> Float[np.ndarray, "channels samples"]:
    """Apply a random gain, limited by full scale, and add it to ``parameters``.

    Without the augmentation ``gain``, only clips that exceed full scale are attenuated.
    """
    peak = float(np.abs(clip).max(initial=0))
    headroom_db = -20 * math.log10(peak) if peak > 0 else math.inf
    softest, loudest = GAIN_DB
    if "gain" in names:
        random_db = float(_seeded_generator(seed_text, "gain").uniform(softest, loudest))
        gain_db = parameters["gain_db"] = round(min(random_db, headroom_db) - 0.005, 2)
    elif headroom_db < 0:
        gain_db = parameters["gain_db"] = round(headroom_db - 0.005, 2)
    else:
        return clip.astype(np.float32)
    return np.clip(clip * 10 ** (gain_db / 20), -1, 1).astype(np.float32)


def spec_augment(
    image: UInt8[np.ndarray, "rows frames *colours"], seed_text: str
) -> tuple[UInt8[np.ndarray, "rows frames *colours"], dict[str, Any]]:
    """Silence two bands of rows and two of columns in a copy; also return the bands.

    Park et al. 2019, "SpecAugment", without the time warp; ``tempo`` is similar to that.
    """
    generator = _seeded_generator(seed_text, "spec")
    masked, masks = image.copy(), {}
    for axis, name in enumerate(("rows", "frames")):
        masks[name] = []
        for _ in range(MASKS):
            size = int(generator.integers(1, max(2, round(image.shape[axis] * MAX_MASK) + 1)))
            start = int(generator.integers(image.shape[axis] - size + 1))
            np.moveaxis(masked, axis, 0)[start : start + size] = 0
            masks[name].append([start, size])
    return masked, {"spec": masks}
