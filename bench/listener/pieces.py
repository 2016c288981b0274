"""MiniMIDI pieces for nano-CLAP, by seed, and whether their sound passes through the codec.

Training seeds begin at 3,000,000, validation seeds at 4,000,000, test seeds at 5,000,000: no piece
is in two sets, and no generator was trained on any.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dataset_tools.sources.minimidi import BASE_STYLES, HELD_OUT_STYLES, Piece, compose
from dataset_tools.sources.minimidi.drums import KITS
from dataset_tools.sources.minimidi.instruments import INSTRUMENTS

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 3_000_000, 4_000_000, 5_000_000
THROUGH_CODEC = 0.12
"""Share of training clips that pass through the mel codec, as every generated clip does."""
SWAPPED = 0.35
"""Share of training clips with instruments swapped, so that a style does not predict them."""
MakePiece = Callable[[int], tuple[Piece, bool]]
"""Function of a seed: a piece, and whether its audio passes through the mel codec."""


def training_piece(seed: int) -> tuple[Piece, bool]:
    """A base, unseen-pair or held-out piece, perhaps swapped, and whether it is coded."""
    rng = np.random.default_rng([2030, seed])
    kind = rng.random()
    if kind < 0.5:
        piece = compose(seed)
    elif kind < 0.65:
        piece = compose(seed, unseen=True)
    else:
        piece = compose(seed, style=HELD_OUT_STYLES[rng.integers(len(HELD_OUT_STYLES))])
    if rng.random() < SWAPPED:
        piece = with_swapped_instruments(piece, rng)
    return piece, bool(rng.random() < THROUGH_CODEC)


def base_piece(seed: int) -> tuple[Piece, bool]:
    """A piece in one of the base styles."""
    return compose(seed), False


def unseen_piece(seed: int) -> tuple[Piece, bool]:
    """A base piece with a pair of lead and accompaniment that generators are not trained on."""
    return compose(seed, unseen=True), False


def held_out_piece(seed: int) -> tuple[Piece, bool]:
    """A piece in one of the held-out styles, which the seed selects."""
    return compose(seed, style=HELD_OUT_STYLES[seed % len(HELD_OUT_STYLES)]), False


def swapped_piece(seed: int) -> tuple[Piece, bool]:
    """A piece of any style with instruments swapped at random."""
    styles = (*BASE_STYLES, *HELD_OUT_STYLES)
    piece = compose(seed, style=styles[seed % len(styles)])
    return with_swapped_instruments(piece, np.random.default_rng([2031, seed])), False


def coded_piece(seed: int) -> tuple[Piece, bool]:
    """A base piece whose audio passes through a nano mel image."""
    return compose(seed), True


def with_swapped_instruments(piece: Piece, rng: np.random.Generator) -> Piece:
    """Swap instruments at random for ones with the range to play the same notes."""
    roles = {}
    for name in piece.instruments:
        pitches = [note.pitch for note in piece.notes if note.instrument == name]
        candidates = [
            other.name
            for other in INSTRUMENTS.values()
            if pitches and other.low <= min(pitches) and max(pitches) <= other.high
        ]
        roles[name] = str(rng.choice([name, *candidates])) if rng.random() < 0.7 else name
    if piece.drums:
        roles[piece.drums] = str(rng.choice(KITS)) if rng.random() < 0.4 else piece.drums
    return replace(
        piece,
        instruments=tuple(dict.fromkeys(roles[name] for name in piece.instruments)),
        drums=roles[piece.drums] if piece.drums else None,
        notes=tuple(replace(note, instrument=roles[note.instrument]) for note in piece.notes),
    )
