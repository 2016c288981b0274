"""What is known of a clip besides its embedding, and what makes a comparison of sets unfair."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dmm.audio import read_audio
from dmm.errors import InputError

from .clips import EmbeddedClips

SR = 22050
SILENT_PEAK = 1e-3
"""-60 dB below full scale."""
FEW_CLIPS = 10
DURATION_SAMPLE = 32
"""So many evenly spaced files tell a set's usual duration."""


@dataclass(frozen=True)
class Origin:
    """How a clip came about: from ID.json of a CLIPS folder, or ID.txt of a DATASET."""

    prompt: str | None
    seed: int | None


def origin(audio: Path) -> Origin:
    """The prompt and seed beside an audio file, each None where unknown."""
    sidecar, caption = audio.with_suffix(".json"), audio.with_suffix(".txt")
    if sidecar.is_file():
        try:
            known = json.loads(sidecar.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{sidecar}: is no JSON ({error}); delete or mend it") from error
        return Origin(known.get("prompt"), known.get("seed"))
    if caption.is_file():
        return Origin(caption.read_text(encoding="utf-8").strip(), None)
    return Origin(None, None)


def match_pairs(before: Sequence[Path], after: Sequence[Path]) -> list[tuple[int, int]]:
    """Indices (before, after) of clips with the same prompt and seed, in the order of ``after``."""
    known: dict[Origin, list[int]] = {}
    for index, path in enumerate(before):
        if (own := origin(path)).seed is not None:
            known.setdefault(own, []).append(index)
    pairs = []
    for index, path in enumerate(after):
        if twins := known.get(origin(path)):
            pairs.append((twins.pop(0), index))
    return pairs


def cautions(clips: EmbeddedClips, reference: EmbeddedClips) -> list[str]:
    """What a reader must know before trusting the scores, a sentence each."""
    found = []
    if len(clips) < FEW_CLIPS:
        found.append(f"Only {len(clips)} clips: the scores are rough below {FEW_CLIPS}.")
    if twins := len(set(clips.sha256) & set(reference.sha256)):
        found.append(f"Also files of the reference: {twins} of the clips. The scores flatter.")
    for name, embedded in (("clips", clips), ("reference clips", reference)):
        if embedded.skipped:
            count = len(embedded.skipped)
            found.append(f"Left out of all scores, because they cannot be read: {count} {name}.")
    lengths, peaks = _sounds(clips.files)
    if silent := int((peaks < SILENT_PEAK).sum()):
        found.append(f"Silent: {silent} of the {len(peaks)} clips that were checked for it.")
    usual, real = np.median(lengths), np.median(_sounds(reference.files)[0])
    if abs(usual - real) > 0.01:
        found.append(
            f"Clips last {usual:.2f} s and reference clips {real:.2f} s: part of every distance "
            "is the difference in length."
        )
    return found


def _sounds(files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Durations in seconds and peaks (1.0 is full scale) of evenly spaced files."""
    step = -(-len(files) // DURATION_SAMPLE)
    sounds = [read_audio(path, SR, 1) for path in files[::step]]
    return (
        np.array([round(x.shape[1] / SR, 2) for x in sounds]),
        np.array([np.abs(x).max(initial=0) for x in sounds]),
    )
