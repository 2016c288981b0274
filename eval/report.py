"""``dmm eval report``: scores of clips beside real ones, as JSON and as a page to hear."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dmm.embedders import Embedder
from dmm.files import write_text

from .cautions import cautions
from .clips import EmbeddedClips, clip_id
from .closeness import cosines_to_reference, nearest
from .facts import origin
from .page import render_page, sections
from .scores import compare, interval_groups, score_clips
from .sets import Sets, embed_sets
from .words import headline, sentence

SCHEMA = 1
"""Raised when a key of report.json changes its meaning."""
SHOWN_CLIPS = 8


def write_report(
    clips: Path,
    dataset: Path,
    out: Path,
    embedder: Embedder,
    baseline: Path | None = None,
    shown: int = SHOWN_CLIPS,
    ray: str | None = None,
) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html`` into ``out``; the JSON's content is returned.

    ``dataset`` is a DATASET folder, whose test split is the reference, or a folder of audio.
    ``baseline`` is another CLIPS folder, matched clip by clip where prompt and seed agree. The
    page plays at most ``shown`` clips of each set.
    """
    sets = embed_sets(clips, dataset, embedder, baseline, ray)
    report = build_report(sets, embedder)
    write_text(out / "report.json", json.dumps(report, indent=2, allow_nan=False) + "\n")
    write_text(out / "report.html", render_page(report, sections(sets, report, shown)))
    return report


def build_report(sets: Sets, embedder: Embedder) -> dict[str, Any]:
    """The content of report.json: finite numbers, null where a part cannot be had."""
    notes = [found.sentence for found in cautions(sets.clips, sets.reference)]
    report = {
        "schema": SCHEMA,
        "embedder": {
            "name": embedder.name,
            "version": embedder.version,
            "protocol": embedder.protocol,
            "identity": asdict(embedder.identity),
        },
        "reference": str(sets.reference_folder),
        "n_reference": len(sets.reference),
        "skipped_reference": sets.reference.skipped,
        **_scored(sets.clips_folder, sets.clips, sets),
        "baseline": None,
    }
    if sets.baseline_folder and sets.baseline:
        report["baseline"] = _scored(sets.baseline_folder, sets.baseline, sets) | _moved(sets)
        if len(sets.baseline) != len(sets.clips) and not sets.pairs:
            notes.append("The two sets differ in number: compare FAD by its excess, not its value.")
    report["cautions"] = notes
    report["summary"] = _summary(report)
    return report


def _scored(folder: Path, clips: EmbeddedClips, sets: Sets) -> dict[str, Any]:
    """Scores of one set, and a row for each of its clips."""
    origins = [origin(path) for path in clips.files]
    groups, over = interval_groups([own.prompt for own in origins])
    cosines = cosines_to_reference(clips.rows, sets.reference.rows)
    near = nearest(clips.rows, sets.reference.rows)
    metrics = score_clips(clips.rows, sets.reference.rows, groups)
    return {
        "clips": str(folder),
        "n": len(clips),
        "skipped": clips.skipped,
        "interval_over": over,
        "metrics": {name: asdict(score) for name, score in metrics.items()},
        "per_clip": [
            {
                "id": clip_id(path, folder),
                "prompt": own.prompt,
                "seed": own.seed,
                "cosine": float(cosine),
                "nearest": clip_id(sets.reference.files[index], sets.reference_folder),
                "nearest_cosine": float(nearest_cosine),
            }
            for path, own, cosine, index, nearest_cosine in zip(
                clips.files, origins, cosines, near.index, near.cosine, strict=True
            )
        ],
    }


def _moved(sets: Sets) -> dict[str, Any]:
    """What changed since the baseline: over matched pairs where there are two or more."""
    assert sets.baseline is not None
    before, after, groups, pairs = sets.baseline.rows, sets.clips.rows, None, sets.pairs
    if len(pairs) >= 2:
        old, new = np.array(pairs).T
        groups, _ = interval_groups([origin(sets.clips.files[i]).prompt for i in new])
        before, after = before[old], after[new]
    moves = compare(before, after, sets.reference.rows, groups)
    return {
        "pairs": len(pairs),
        "moved": {name: asdict(move) | {"sure": move.sure} for name, move in moves.items()},
    }


def _summary(report: dict[str, Any]) -> dict[str, Any]:
    """The page's first lines in words, also printed by the command."""
    return {
        "headline": headline(report),
        "metrics": {name: sentence(name, report) for name in report["metrics"]},
    }
