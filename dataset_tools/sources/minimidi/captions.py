"""Captions in the words of a prompt, made from what is true of the piece."""

import numpy as np

from .piece import Piece

# "" leaves the slot empty; {drums} and {swing} vanish with it. Each names every instrument.
TEMPLATES = (
    "{instruments}, {moods}, {pace}, {mode}",
    "{style}, {instruments}, {drums}, {moods}, {pace}, {mode}",
    "{moods} {style} with {instruments}, {pace}, {mode}, {drums}",
    "{style}, {instruments}, {drums}, {bpm} bpm, {key} {mode}, {mood}",
    "{pace} {mode} {style}, {instruments}, {drums}, {moods}",
    "{instruments}, {drums}, {style}, {moods}, {bpm} bpm",
)
_WEIGHTS = (0.2, 0.25, 0.15, 0.15, 0.15, 0.1)


def caption(piece: Piece) -> str:
    """One caption of the piece, its form chosen by the piece's seed.

    Facts left out of a form are simply unsaid; nothing untrue is ever said.
    """
    rng = np.random.default_rng([2027, piece.seed])
    template = TEMPLATES[rng.choice(len(TEMPLATES), p=_WEIGHTS)]
    moods = piece.moods[: int(rng.integers(1, len(piece.moods) + 1))]
    text = template.format(
        instruments=listed(piece.instruments),
        drums=piece.drums or ("no drums" if rng.random() < 0.5 else ""),
        moods=", ".join(moods) if "{moods} " not in template else " ".join(moods),
        mood=piece.moods[0],
        style=piece.style,
        pace=pace(piece.tempo_bpm),
        bpm=piece.tempo_bpm,
        key=piece.key,
        mode=piece.mode,
    )
    return ", ".join(part.strip() for part in text.split(",") if part.strip())


def listed(names: tuple[str, ...]) -> str:
    """Names as English says them.

    >>> listed(("flute", "piano", "upright bass"))
    'flute, piano and upright bass'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def pace(tempo_bpm: int) -> str:
    """Tempo as a word: slow below 84 BPM, fast from 116."""
    return "slow" if tempo_bpm < 84 else "fast" if tempo_bpm >= 116 else "medium tempo"
