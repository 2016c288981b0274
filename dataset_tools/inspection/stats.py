"""Statistics of a dataset: clips, hours, facets, sound, voices: ``dmm data stats DATASET``."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from dmm.files import parse_json, read_jsonl

from ..captions.lexicon import FACETS
from ..dataset import Dataset, Row, read_dataset
from ..layout import SPLITS

BINS = 24
"""Number of bars of a histogram."""
TOP = 12
"""Largest number of values of a facet on the page."""
WORD, MOST_WORDS = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*"), 30
LIKELY = 0.5
"""A track has a facet's value from this probability on."""
MEASURES: dict[str, tuple[str, str, tuple[float, float] | None]] = {
    "tokens": ("Caption length", "tokens", None),
    "loudness_lufs": ("Loudness", "LUFS", None),
    "peak_db": ("Peak", "dBFS", None),
    "silence": ("Silence", "share of the clip", (0.0, 1.0)),
    "bandwidth_hz": ("Bandwidth", "Hz", None),
    "vocal_probability": ("Voice", "probability", (0.0, 1.0)),
}
"""Manifest column to its title, its unit, and its range if that is fixed."""


def dataset_statistics(folder: Path) -> dict[str, Any]:
    """Statistics of a dataset as JSON values; InputError if ``folder`` is no complete dataset.

    Hours are those of the clips, so overlapping windows are counted twice. ``tracks_of``,
    ``facets`` and ``evidence`` count tracks, ``artists_of`` artists, and ``rejected`` refusals by
    the first words of their reason; all other counts are of clips.
    """
    dataset = read_dataset(folder)
    rows, hours = dataset.rows, dataset.fmt.clip_duration_s / 3600
    clips = _measure_by_split(rows, len)
    return {
        "name": folder.resolve().name,
        "format": dataset.fmt.name,
        "clip_s": round(dataset.fmt.clip_duration_s, 3),
        "anchor": dataset.anchor,
        "splits_grouped_by": dataset.built["splits_grouped_by"],
        "tracks": dataset.built["tracks"],
        "clips": clips,
        "hours": {split: round(n * hours, 4) for split, n in clips.items()},
        "tracks_of": _measure_by_split(rows, _distinct_counter("track")),
        "artists_of": _measure_by_split(rows, _distinct_counter("artist")),
        "augmented": sum(row["augmentation"] is not None for row in rows),
        "facets": count_tracks_by_facet(rows),
        "measures": {name: column_distribution(rows, name) for name in MEASURES},
        "evidence": _count_voice_votes(rows),
        "described": sum(row["description"] is not None for row in rows),
        "words": count_caption_words(rows),
        "caption_origins": _sorted_counts(row["caption_origin"] for row in rows),
        "sources": _sorted_counts(row["source"] for row in rows),
        "licences": _sorted_counts(row["licence"] or "unknown" for row in rows),
        "rejected": _refusal_counts(dataset),
        "content_sha256": dataset.built["content_sha256"],
    }


def column_distribution(rows: Sequence[Row], name: str) -> dict[str, Any] | None:
    """Percentiles of a manifest column, and its histogram by split; None if no clip has a value.

    ``edges`` has one more entry than the counts; ``missing`` counts clips without a value.
    """
    known = [row for row in rows if row[name] is not None]
    if not known:
        return None
    values = np.array([row[name] for row in known], np.float64)
    edges = _bin_edges(values, MEASURES[name][2])
    splits = np.array([row["split"] for row in known])
    low, middle, high = np.percentile(values, (5, 50, 95))
    return {
        "missing": len(rows) - len(known),
        "min": _rounded(values.min()),
        "p5": _rounded(low),
        "p50": _rounded(middle),
        "p95": _rounded(high),
        "max": _rounded(values.max()),
        "edges": [_rounded(edge) for edge in edges],
        "counts": {
            split: np.histogram(values[splits == split], edges)[0].tolist()
            for split in SPLITS
            if (splits == split).any()
        },
    }


def _bin_edges(values: np.ndarray, fixed: tuple[float, float] | None) -> np.ndarray:
    """Edges of equal bins over the fixed range, or over the values; integers for integer values."""
    low, high = fixed or (float(values.min()), float(values.max()))
    if high <= low:
        return np.linspace(low, low + 1, BINS + 1)
    if fixed is None and (values % 1 == 0).all():
        step = int(np.ceil((high - low + 1) / BINS))
        return np.arange(low, high + step + 0.5, step)
    return np.linspace(low, high, BINS + 1)


def _rounded(value: float) -> float:
    return round(float(value), 4)


Facets = dict[str, dict[str, float]]
"""Facet to its values, and the probability of each."""


def count_tracks_by_facet(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """For every facet, count the tracks that likely have each value; the most common come first."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    first = {row["track"]: row["facets"] for row in reversed(rows)}
    for text in first.values():
        found: Facets = parse_json(text or "{}", "facets", Facets)
        for facet, values in found.items():
            counted[facet].update(value for value, p in values.items() if p >= LIKELY)
    order = sorted(counted, key=lambda f: (FACETS.index(f) if f in FACETS else len(FACETS), f))
    return {facet: _sorted_counts(counted[facet].elements()) for facet in order if counted[facet]}


def count_caption_words(rows: Sequence[Row]) -> dict[str, int]:
    """Count the clips whose caption has each word, for the most common ones."""
    counted: Counter[str] = Counter()
    for row in rows:
        counted.update(set(WORD.findall(row["caption"].lower())))
    return dict(list(_sorted_counts(counted.elements()).items())[:MOST_WORDS])


Vote = Literal[-1, 0, 1]


class _RefusalLine(BaseModel):
    """A line of ``rejected.jsonl``, as far as it is counted."""

    reason: str


def _count_voice_votes(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """For every labelling function, count the tracks by its vote."""
    words = {1: "vocal", -1: "instrumental", 0: "no opinion"}
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    first = {row["track"]: row["vocal_evidence"] for row in reversed(rows)}
    for text in first.values():
        for function, vote in parse_json(text or "{}", "vocal_evidence", dict[str, Vote]).items():
            counted[function][words[vote]] += 1
    return {
        name: {word: counted[name][word] for word in words.values()} for name in sorted(counted)
    }


def _refusal_counts(dataset: Dataset) -> dict[str, int]:
    """Count refusals by the first words of their reason."""
    lines = read_jsonl(dataset.folder / "rejected.jsonl", _RefusalLine)
    return _sorted_counts(line.reason.split(":")[0] for line in lines)


def _measure_by_split(rows: Sequence[Row], measure: Callable[[list[Row]], int]) -> dict[str, int]:
    """Apply ``measure`` to the rows of each split that has any."""
    groups = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    return {split: measure(group) for split, group in groups.items() if group}


def _distinct_counter(name: str) -> Callable[[list[Row]], int]:
    """A function that counts a column's distinct values, without missing ones."""
    return lambda rows: len({row[name] for row in rows if row[name] is not None})


def _sorted_counts(values: Iterable[str]) -> dict[str, int]:
    """Count values; the most common come first, equally common ones by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
