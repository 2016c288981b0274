"""Rendered pieces as the listener hears them, with what is true of each; kept on disk.

Blocks are found again by their seeds alone: remove the folder when MiniMIDI itself changes.
"""

import json
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dataset_tools.sources.minimidi import Piece, caption, prompt, render
from dataset_tools.sources.minimidi.captions import pace
from dmm.codec.decode import decode
from dmm.codec.mel import encode, load_format
from dmm.files import whole_file
from dmm.progress import progress_bar
from eval.listening.hearing import SR, Pictures, hear
from eval.listening.judges import NO_DRUMS
from eval.listening.listener import Labels

from .pieces import Draw

BLOCK = 500
"""Clips in a file: what an interruption costs at most."""
MOMENTS, BRIEF_S = 16, 0.04
"""A piece's sixteenths; what is held for less than 40 ms in one does not count there."""
CAPTIONS = 4
"""Wordings of a piece beside its prompt."""


@dataclass(frozen=True)
class HeardClips:
    """Clips in memory; row i of everything is clip i."""

    pictures: Pictures
    facts: list[dict[str, Any]]
    """Of each clip what ``facts_of`` says."""

    def __len__(self) -> int:
        return len(self.facts)


def facts_of(piece: Piece) -> dict[str, Any]:
    """What the listener shall say of a piece, and words for it."""
    wordings = [caption(replace(piece, seed=piece.seed + i * 10_000_019)) for i in range(CAPTIONS)]
    sounding = {note.instrument for note in piece.notes if note.start_s < piece.duration_s - 0.1}
    return {
        "style": piece.style,
        "instruments": [name for name in piece.instruments if name in sounding],
        "moments": {name: moments_of(piece, name) for name in piece.instruments},
        "drums": piece.drums if piece.drums in sounding else NO_DRUMS,
        "tempo": pace(piece.tempo_bpm),
        "key": f"{piece.key} {piece.mode}",
        "texts": [*wordings, prompt(piece).text],
    }


def moments_of(piece: Piece, name: str) -> list[int]:
    """In which sixteenths of the piece an instrument's keys are held, for a moment at least."""
    length_s = piece.duration_s / MOMENTS
    spans = [
        (int((note.start_s + BRIEF_S) / length_s), (note.start_s + note.duration_s) / length_s)
        for note in piece.notes
        if note.instrument == name
    ]
    held = {moment for first, end in spans for moment in range(first, max(first + 1, ceil(end)))}
    return sorted(moment for moment in held if moment < MOMENTS)


def truth_of(heard: HeardClips, labels: Labels) -> dict[str, Tensor]:
    """Label numbers of each clip; for instruments 1 where one sounds."""
    facts = heard.facts
    sounding = [
        [float(name in fact["instruments"]) for name in labels.instruments] for fact in facts
    ]
    moments = torch.zeros(len(facts), MOMENTS, len(labels.instruments))
    for row, fact in enumerate(facts):
        for name, held in fact["moments"].items():
            moments[row, held, labels.instruments.index(name)] = 1
    return {
        "moments": moments,
        "instruments": torch.tensor(sounding),
        "drums": torch.tensor([labels.drums.index(fact["drums"]) for fact in facts]),
        "tempo": torch.tensor([labels.tempos.index(fact["tempo"]) for fact in facts]),
        "key": torch.tensor([labels.keys.index(fact["key"]) for fact in facts]),
        "style": torch.tensor([labels.styles.index(fact["style"]) for fact in facts]),
    }


def sound_of(piece: Piece, coded: bool = False) -> Float[np.ndarray, " samples"]:
    """Mono sound at the listener's rate; ``coded`` goes through a nano mel image and back."""
    sound = render(piece, SR).mean(0, keepdims=True)
    if coded:
        fmt = load_format("nano")
        sound = decode(encode(sound, fmt), fmt, "fast")
    return sound[0]


def heard_clips(folder: Path, draw: Draw, first_seed: int, clips: int) -> HeardClips:
    """Clips of consecutive seeds, rendered in blocks that are kept in ``folder``."""
    blocks = []
    with progress_bar(f"render {folder.name}", clips) as advance:
        for start in range(0, clips, BLOCK):
            count = min(BLOCK, clips - start)
            blocks.append(_block(folder, draw, first_seed + start, count))
            advance(count)
    return HeardClips(
        Pictures.joined([block.pictures for block in blocks]),
        [row for block in blocks for row in block.facts],
    )


def _block(folder: Path, draw: Draw, first_seed: int, count: int) -> HeardClips:
    path = folder / f"{first_seed}-{count}.npz"
    if not path.is_file():
        heard, facts = [], []
        for seed in range(first_seed, first_seed + count):
            piece, coded = draw(seed)
            heard.append(hear(sound_of(piece, coded)))
            facts.append(facts_of(piece))
        made, words = Pictures.joined(heard), np.array(json.dumps(facts))
        with whole_file(path) as partial:
            np.savez(partial, timbre=made.timbre, pitch=made.pitch, facts=words)
    with np.load(path) as kept:
        pictures = Pictures(kept["timbre"], kept["pitch"])
        return HeardClips(pictures, json.loads(str(kept["facts"])))
