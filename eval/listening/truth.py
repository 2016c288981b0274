"""Instruments, tempo class and mode of MiniMIDI clips, read from a dataset's manifest."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from dmm.errors import InputError
from dmm.files import parse_json, read_table

SLOW_BELOW_BPM, FAST_FROM_BPM = 84, 116
"""Bounds of the tempo classes in MiniMIDI's captions."""


@dataclass(frozen=True)
class Truth:
    """Attributes that the judges can detect; meets ``eval.listening.adherence.Requested``."""

    instruments: tuple[str, ...]
    pace: str
    mode: str


def read_truths(dataset: Path) -> dict[str, Truth]:
    """Map captions to their clips' truth, from a DATASET's manifest; empty if it has none.

    Captions that are shared by clips of different truth are left out.
    """
    found: dict[str, set[Truth]] = {}
    for caption, known in _caption_and_truth_json(dataset / "manifest.parquet"):
        if caption and known:
            facts: _TruthFacts = parse_json(known, caption, _TruthFacts)
            found.setdefault(caption, set()).add(_truth_of_facts(facts))
    return {caption: truths.pop() for caption, truths in found.items() if len(truths) == 1}


class _TruthFacts(BaseModel):
    """Fields of the manifest's column ``truth`` that are used here."""

    tempo_bpm: float
    instruments: tuple[str, ...]
    mode: str


def _truth_of_facts(facts: _TruthFacts) -> Truth:
    bpm = facts.tempo_bpm
    pace = "slow" if bpm < SLOW_BELOW_BPM else "fast" if bpm >= FAST_FROM_BPM else "medium tempo"
    return Truth(facts.instruments, pace, facts.mode)


def _caption_and_truth_json(manifest: Path) -> list[tuple[str | None, str | None]]:
    try:
        rows = read_table(manifest, ["caption", "truth", "augmentation"]).to_pylist()
    except InputError:  # no DATASET, or one whose check finds what is wrong
        return []
    # An augmented copy has its piece's truth, which its tempo and pitch may no longer have.
    return [(row["caption"], row["truth"]) for row in rows if row["augmentation"] is None]
