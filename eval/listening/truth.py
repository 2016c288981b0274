"""What is true of the music that a caption describes, where MiniMIDI composed it."""

import json
from dataclasses import dataclass
from pathlib import Path

SLOW_BELOW_BPM, FAST_FROM_BPM = 84, 116
"""As MiniMIDI's captions have it."""


@dataclass(frozen=True)
class Truth:
    """Facts that the judges can hear (``eval.listening.adherence.Asked``)."""

    instruments: tuple[str, ...]
    pace: str
    mode: str


def truths(dataset: Path) -> dict[str, Truth]:
    """Caption to truth, from the manifest of a DATASET; empty where nothing is known.

    A caption that two different pieces share says too little to be held against a clip.
    """
    found: dict[str, set[Truth]] = {}
    for caption, known in _rows(dataset / "manifest.parquet"):
        if caption and known:
            found.setdefault(caption, set()).add(_truth(json.loads(known)))
    return {caption: own.pop() for caption, own in found.items() if len(own) == 1}


def _truth(known: dict[str, object]) -> Truth:
    bpm, instruments = known["tempo_bpm"], known["instruments"]
    assert isinstance(bpm, int | float)
    assert isinstance(instruments, list)
    pace = "slow" if bpm < SLOW_BELOW_BPM else "fast" if bpm >= FAST_FROM_BPM else "medium tempo"
    return Truth(tuple(instruments), pace, str(known["mode"]))


def _rows(manifest: Path) -> list[tuple[str | None, str | None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(manifest) as file:  # read_table would import pandas
            rows = file.read(["caption", "truth", "augmentation"]).to_pylist()
    except (OSError, pa.ArrowException):  # no DATASET, or one whose check finds what is wrong
        return []
    # An augmented copy has its piece's truth, which its tempo and pitch may no longer have.
    return [(row["caption"], row["truth"]) for row in rows if row["augmentation"] is None]
