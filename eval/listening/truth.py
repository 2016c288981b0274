"""Instruments, tempo class and mode of MiniMIDI clips, read from a dataset's manifest."""

import json
from dataclasses import dataclass
from pathlib import Path

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
    for caption, known in _captions_and_truths(dataset / "manifest.parquet"):
        if caption and known:
            found.setdefault(caption, set()).add(_truth_of_facts(json.loads(known)))
    return {caption: truths.pop() for caption, truths in found.items() if len(truths) == 1}


def _truth_of_facts(facts: dict[str, object]) -> Truth:
    bpm, instruments = facts["tempo_bpm"], facts["instruments"]
    assert isinstance(bpm, int | float)
    assert isinstance(instruments, list)
    pace = "slow" if bpm < SLOW_BELOW_BPM else "fast" if bpm >= FAST_FROM_BPM else "medium tempo"
    return Truth(tuple(instruments), pace, str(facts["mode"]))


def _captions_and_truths(manifest: Path) -> list[tuple[str | None, str | None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(manifest) as file:  # read_table would import pandas
            rows = file.read(["caption", "truth", "augmentation"]).to_pylist()
    except (OSError, pa.ArrowException):  # no DATASET, or one whose check finds what is wrong
        return []
    # An augmented copy has its piece's truth, which its tempo and pitch may no longer have.
    return [(row["caption"], row["truth"]) for row in rows if row["augmentation"] is None]
