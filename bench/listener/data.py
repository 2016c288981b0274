"""Labelled spectrograms of rendered MiniMIDI pieces to train nano-CLAP, cached on disk.

The cache is keyed by seeds alone: remove its folder when MiniMIDI itself changes.
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
from dataset_tools.sources.minimidi.captions import tempo_word
from dmm.codec.decode import decode
from dmm.codec.mel import encode, load_format
from dmm.files import parse_json, whole_file
from dmm.progress import progress_bar
from eval.listening.judges import NO_DRUMS
from eval.listening.listener import Labels
from eval.listening.spectrograms import SR, Spectrograms, spectrograms_of

from .pieces import MakePiece

BLOCK = 500
"""Clips per file of the cache: the most that an interruption loses."""
MOMENTS, BRIEF_S = 16, 0.04
"""Sixteenths of a piece; a note that begins in the last 40 ms of one counts from the next on."""
CAPTIONS = 4
"""Captions of a piece, beside its prompt."""


@dataclass(frozen=True)
class LabelledClips:
    """Spectrograms and labels of clips; row i of both belongs to clip i."""

    spectrograms: Spectrograms
    descriptions: list[dict[str, Any]]
    """Labels and captions of each clip, by ``labels_and_captions``."""

    def __len__(self) -> int:
        return len(self.descriptions)


def labels_and_captions(piece: Piece) -> dict[str, Any]:
    """Labels of a piece by name, and captions for it."""
    wordings = [caption(replace(piece, seed=piece.seed + i * 10_000_019)) for i in range(CAPTIONS)]
    sounding = {note.instrument for note in piece.notes if note.start_s < piece.duration_s - 0.1}
    return {
        "style": piece.style,
        "instruments": [name for name in piece.instruments if name in sounding],
        "moments": {name: sixteenths_played(piece, name) for name in piece.instruments},
        "drums": piece.drums if piece.drums in sounding else NO_DRUMS,
        "tempo": tempo_word(piece.tempo_bpm),
        "key": f"{piece.key} {piece.mode}",
        "texts": [*wordings, prompt(piece).text],
    }


def sixteenths_played(piece: Piece, name: str) -> list[int]:
    """Indices of the sixteenths of the piece in which an instrument holds a note."""
    length_s = piece.duration_s / MOMENTS
    spans = [
        (int((note.start_s + BRIEF_S) / length_s), (note.start_s + note.duration_s) / length_s)
        for note in piece.notes
        if note.instrument == name
    ]
    held = {moment for first, end in spans for moment in range(first, max(first + 1, ceil(end)))}
    return sorted(moment for moment in held if moment < MOMENTS)


def target_tensors(clips: LabelledClips, labels: Labels) -> dict[str, Tensor]:
    """Class indices of each clip; for instruments and moments 1 where an instrument plays."""
    rows = clips.descriptions
    sounding = [[float(name in row["instruments"]) for name in labels.instruments] for row in rows]
    moments = torch.zeros(len(rows), MOMENTS, len(labels.instruments))
    for clip, row in enumerate(rows):
        for name, held in row["moments"].items():
            moments[clip, held, labels.instruments.index(name)] = 1
    return {
        "moments": moments,
        "instruments": torch.tensor(sounding),
        "drums": torch.tensor([labels.drums.index(row["drums"]) for row in rows]),
        "tempo": torch.tensor([labels.tempos.index(row["tempo"]) for row in rows]),
        "key": torch.tensor([labels.keys.index(row["key"]) for row in rows]),
        "style": torch.tensor([labels.styles.index(row["style"]) for row in rows]),
    }


def render_mono(piece: Piece, coded: bool = False) -> Float[np.ndarray, " samples"]:
    """Mono audio at the listener's rate; ``coded`` passes it through a nano mel image."""
    sound = render(piece, SR).mean(0, keepdims=True)
    if coded:
        fmt = load_format("nano")
        sound = decode(encode(sound, fmt), fmt, "fast")
    return sound[0]


def load_or_render_clips(
    folder: Path, make_piece: MakePiece, first_seed: int, clips: int
) -> LabelledClips:
    """Clips of consecutive seeds: read from ``folder``, or rendered and cached there."""
    blocks = []
    with progress_bar(f"render {folder.name}", clips) as advance:
        for start in range(0, clips, BLOCK):
            count = min(BLOCK, clips - start)
            blocks.append(_load_or_render_block(folder, make_piece, first_seed + start, count))
            advance(count)
    return LabelledClips(
        Spectrograms.concatenate([block.spectrograms for block in blocks]),
        [row for block in blocks for row in block.descriptions],
    )


def _load_or_render_block(
    folder: Path, make_piece: MakePiece, first_seed: int, count: int
) -> LabelledClips:
    """Clips of ``count`` seeds from ``first_seed`` on, read from the cache or rendered into it."""
    path = folder / f"{first_seed}-{count}.npz"
    if not path.is_file():
        parts, descriptions = [], []
        for seed in range(first_seed, first_seed + count):
            piece, coded = make_piece(seed)
            parts.append(spectrograms_of(render_mono(piece, coded)))
            descriptions.append(labels_and_captions(piece))
        made, as_json = Spectrograms.concatenate(parts), np.array(json.dumps(descriptions))
        with whole_file(path) as partial:
            np.savez(partial, timbre=made.timbre, pitch=made.pitch, facts=as_json)
    with np.load(path) as cached:
        spectrograms = Spectrograms(cached["timbre"], cached["pitch"])
        return LabelledClips(spectrograms, parse_json(str(cached["facts"]), path, Any))
