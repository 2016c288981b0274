"""Pieces for the listener to learn from and to be tested on, by seed.

Training seeds begin at 3,000,000, validation at 4,000,000 and fresh test pieces at 5,000,000, so
that no piece is in two of them and no generator was trained on any.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dataset_tools.sources.minimidi import BASE_STYLES, HELD_OUT_STYLES, Piece, compose
from dataset_tools.sources.minimidi.drums import KITS
from dataset_tools.sources.minimidi.instruments import INSTRUMENTS

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 3_000_000, 4_000_000, 5_000_000
THROUGH_CODEC = 0.12
"""Share of training clips that went through the mel codec, as every generated clip does."""
RECAST = 0.35
"""Share of training clips whose players swap instruments, so that a style tells none."""
Draw = Callable[[int], tuple[Piece, bool]]
"""Seed to a piece, and whether its sound goes through the mel codec."""


def training_piece(seed: int) -> tuple[Piece, bool]:
    """A piece of any kind, perhaps recast, and whether it goes through the codec."""
    rng = np.random.default_rng([2030, seed])
    kind = rng.random()
    if kind < 0.5:
        piece = compose(seed)
    elif kind < 0.65:
        piece = compose(seed, unseen=True)
    else:
        piece = compose(seed, style=HELD_OUT_STYLES[rng.integers(len(HELD_OUT_STYLES))])
    if rng.random() < RECAST:
        piece = recast(piece, rng)
    return piece, bool(rng.random() < THROUGH_CODEC)


def base_piece(seed: int) -> tuple[Piece, bool]:
    """A piece in one of the base styles."""
    return compose(seed), False


def unseen_piece(seed: int) -> tuple[Piece, bool]:
    """A base piece whose lead and accompaniment no training piece of a generator combines."""
    return compose(seed, unseen=True), False


def held_out_piece(seed: int) -> tuple[Piece, bool]:
    """A piece in one of the held-out styles, in turn."""
    return compose(seed, style=HELD_OUT_STYLES[seed % len(HELD_OUT_STYLES)]), False


def recast_piece(seed: int) -> tuple[Piece, bool]:
    """A piece of any style with players that the style may never have."""
    styles = (*BASE_STYLES, *HELD_OUT_STYLES)
    piece = compose(seed, style=styles[seed % len(styles)])
    return recast(piece, np.random.default_rng([2031, seed])), False


def coded_piece(seed: int) -> tuple[Piece, bool]:
    """A base piece through a nano mel image and back."""
    return compose(seed), True


def recast(piece: Piece, rng: np.random.Generator) -> Piece:
    """The same notes; each player keeps the instrument or takes one that reaches all its notes."""
    roles = {}
    for name in piece.instruments:
        pitches = [note.pitch for note in piece.notes if note.instrument == name]
        able = [
            other.name
            for other in INSTRUMENTS.values()
            if pitches and other.low <= min(pitches) and max(pitches) <= other.high
        ]
        roles[name] = str(rng.choice([name, *able])) if rng.random() < 0.7 else name
    if piece.drums:
        roles[piece.drums] = str(rng.choice(KITS)) if rng.random() < 0.4 else piece.drums
    return replace(
        piece,
        instruments=tuple(dict.fromkeys(roles[name] for name in piece.instruments)),
        drums=roles[piece.drums] if piece.drums else None,
        notes=tuple(replace(note, instrument=roles[note.instrument]) for note in piece.notes),
    )
