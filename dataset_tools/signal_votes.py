"""Turn measured tempo, key, loudness, brightness and density of tracks into votes on words.

Tempo and key have absolute bounds. A track is loud, bright or dense compared with the rest of its
collection.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from .sound_facts import SoundFacts

TEMPO_WORDS = ("slow", "mid-tempo", "fast")
SLOW_BPM, FAST_BPM = 84.0, 120.0
"""Music is slow up to the first tempo, fast from the second on."""
USUAL_BPM, SPREAD_OCTAVES = 100.0, 0.5
"""Median and spread of the tempos of a collection, by which the octave of a tempo is chosen."""
TEMPI_BPM = (45.0, 200.0)
"""Slowest and fastest tempo that ``choose_octaves`` returns."""
KEY_STRENGTH = 0.6
"""Least correlation with a key's profile for a vote on major or minor."""
HIGH, LOW = 0.8, 0.2
"""From rank ``HIGH`` up a track is loud, bright or dense; from ``LOW`` down it is the opposite."""
MIN_TRACKS = 5
"""Fewest tracks among which a rank means something."""
MIN_SPREAD_LU = 3.0
"""Least difference between the loudest and the quietest tenth for a vote on loudness: tracks that
were brought to one loudness differ by less."""
WORDS = {
    "loudness": ("loud", "soft"),
    "brightness": ("bright", "deep"),
    "density": ("dense", "sparse"),
}
"""For each measure, the word for a high rank and the word for a low one."""

Votes = dict[str, dict[str, int]]
"""Facet to value to vote: 1 present, -1 absent."""


def summarise_clips(clips: Sequence[SoundFacts]) -> SoundFacts | None:
    """Facts of a track: medians over its clips; None without clips.

    Its key is that with the largest total strength, with its mean strength.
    """
    if not clips:
        return None
    tempos = [clip.tempo_bpm for clip in clips if clip.tempo_bpm is not None]
    keys: dict[str, float] = defaultdict(float)
    for clip in clips:
        keys[clip.key] += clip.key_strength
    key = max(sorted(keys), key=keys.__getitem__)
    return SoundFacts(
        float(np.median(tempos)) if tempos else None,
        key,
        float(np.mean([clip.key_strength for clip in clips if clip.key == key])),
        float(np.median([clip.brightness_hz for clip in clips])),
        float(np.median([clip.density for clip in clips])),
    )


def choose_octaves(
    measured: Sequence[float | None],
    slowness: Float[np.ndarray, " n"],
    words: Sequence[str | None],
) -> list[float | None]:
    """Halve or double tempos (BPM) to fit each track's slowness; None for unknown tempos.

    ``slowness`` is the track's rank, 0 (fast) to 1, or NaN if unknown: then the octave
    nearest to the usual tempo is chosen. Where ``words`` has one of ``TEMPO_WORDS``, octaves that
    it describes are preferred.
    """
    from scipy.special import ndtri

    tempos: list[float | None] = []
    for bpm, rank, word in zip(measured, slowness, words, strict=True):
        expected = 1 - float(np.clip(np.nan_to_num(rank, nan=0.5), 0.02, 0.98))
        centre = np.log2(USUAL_BPM) + SPREAD_OCTAVES * ndtri(expected)
        octaves = [] if bpm is None else [bpm / 2, bpm, 2 * bpm]
        fit = [o for o in octaves if TEMPI_BPM[0] <= o <= TEMPI_BPM[1]]
        fit = [o for o in fit if tempo_word(o) == word] or fit
        tempos.append(min(fit, key=lambda o: abs(np.log2(o) - centre)) if fit else None)
    return tempos


def mean_of_finite(values: Sequence[float | None]) -> float:
    """Mean of the values that are known and finite; NaN without any."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def ranks_of(
    values: Sequence[float] | np.ndarray, min_spread: float = 0.0
) -> Float[np.ndarray, " n"]:
    """Rank of each value, 0 to 1; NaN for unknown ones, and for all of fewer than five.

    NaN for all, too, if the lowest and the highest tenth are less than ``min_spread`` apart.
    """
    from scipy.stats import rankdata

    known = np.asarray(values, float)
    ranks = np.full(len(known), np.nan)
    is_known = np.isfinite(known)
    if (
        is_known.sum() >= MIN_TRACKS
        and np.ptp(np.quantile(known[is_known], (0.1, 0.9))) >= min_spread
    ):
        ranks[is_known] = (rankdata(known[is_known]) - 0.5) / is_known.sum()
    return ranks


def signal_votes(tempo_bpm: float | None, key: str | None, ranks: Mapping[str, float]) -> Votes:
    """Votes on tempo words, the tempo itself ("84 bpm") and production words.

    An unknown tempo or key gives no vote.

    ``ranks`` maps each measure of ``WORDS`` to a rank (0..1) or NaN.
    """
    votes: Votes = defaultdict(dict)
    if tempo_bpm is not None:
        votes["tempo"] = {w: 1 if w == tempo_word(tempo_bpm) else -1 for w in TEMPO_WORDS}
        votes["tempo"][f"{round(tempo_bpm)} bpm"] = 1
    if key is not None:
        minor = key.endswith("minor")
        votes["production"] |= {"minor key": 1 if minor else -1, "major key": -1 if minor else 1}
    for measure, (high, low) in WORDS.items():
        if ranks[measure] >= HIGH:
            votes["production"] |= {high: 1, low: -1}
        elif ranks[measure] <= LOW:
            votes["production"] |= {high: -1, low: 1}
    return dict(votes)


def tempo_word(bpm: float) -> str:
    """The word for a tempo in beats a minute.

    >>> [tempo_word(bpm) for bpm in (70.0, 100.0, 140.0)]
    ['slow', 'mid-tempo', 'fast']
    """
    return "slow" if bpm <= SLOW_BPM else "fast" if bpm >= FAST_BPM else "mid-tempo"
