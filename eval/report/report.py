"""Build and write a report: scores of clips compared with real ones, as JSON and as a page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dmm.embedders import Embedder
from dmm.files import write_text

from ..results import cautions_json, embedder_json, scores_json, set_json
from ..sample import Sample, interval_groups
from ..scores import compare, score
from ..sets import (
    ClipSet,
    embed_prompts,
    open_clips,
    open_held_out,
    open_reference,
    open_training,
    pairs_of,
    refuse_swapped,
    sample_of,
)
from . import SHOWN_CLIPS
from .clip_map import clip_map
from .clip_rows import clip_rows, median_nearest_distance, prompt_rows
from .joints import joint_rows
from .judged_adherence import judge_sets
from .neighbours import Copies, copies_json, find_copies
from .outliers import outliers
from .page import render_page
from .sentences import headline, sentence

Table = tuple[str, Sequence[Sequence[str]]]
"""A heading, and rows of a table under it, the first of which is its head."""
SCHEMA = 2
"""Raised when a key of report.json changes its meaning."""


@dataclass(frozen=True)
class Report:
    """The embedded clip sets of a report."""

    embedder: Embedder
    dataset: Path
    clips: ClipSet
    reference: ClipSet
    baseline: ClipSet | None
    copies: Copies | None
    texts: dict[str, np.ndarray] | None

    @cached_property
    def sample(self) -> Sample:
        """Input of the metrics for the clips."""
        return sample_of(self.clips, self.reference, self.texts)

    @cached_property
    def before(self) -> Sample | None:
        """Input of the metrics for the baseline."""
        return sample_of(self.baseline, self.reference, self.texts) if self.baseline else None

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Indices (baseline, clips) of clips with equal prompt and seed."""
        return pairs_of(self.baseline, self.clips) if self.baseline else []

    @property
    def sets(self) -> dict[str, ClipSet]:
        """The sets that are scored or shown, by role."""
        found = {"clips": self.clips, "before": self.baseline, "real": self.reference}
        return {role: own for role, own in found.items() if own}


def write_report(
    clips: Path,
    dataset: Path,
    out: Path,
    embedder: Embedder,
    baseline: Path | None = None,
    train: Path | None = None,
    shown: int = SHOWN_CLIPS,
    ray: str | None = None,
    tables: Sequence[Table] = (),
) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html`` into ``out``; returns the JSON's content.

    ``dataset`` is a DATASET folder, whose test split is the reference, or a folder of audio.
    ``baseline`` is another CLIPS folder, paired clip by clip by prompt and seed. ``train`` holds
    the training clips. The page begins with ``tables`` and shows at most ``shown`` clips of a set
    in full. Equal input gives equal bytes.
    """
    found = open_report(clips, dataset, embedder, baseline, train, ray)
    content = build_report(found) | {"tables": [[title, rows] for title, rows in tables]}
    write_text(out / "report.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
    write_text(
        out / "report.html", render_page(content, found.sets, found.copies, found.pairs, shown)
    )
    return content


def open_report(
    clips: Path,
    dataset: Path,
    embedder: Embedder,
    baseline: Path | None = None,
    train: Path | None = None,
    ray: str | None = None,
) -> Report:
    """Embed all folders; InputError names one that cannot be used."""
    real = open_reference(dataset, embedder, ray)
    ours = open_clips(clips, embedder, ray=ray)
    refuse_swapped(ours, real)
    before = open_clips(baseline, embedder, ray=ray) if baseline else None
    copies = None
    if train:
        trained = open_training(train, embedder, ray)
        copies = find_copies(ours, trained, open_held_out(dataset, trained, embedder, ray))
    texts = embed_prompts(embedder, ours, real, before)
    return Report(embedder, dataset, ours, real, before, copies, texts)


def build_report(report: Report) -> dict[str, Any]:
    """Content of report.json: finite numbers, null for values that cannot be computed."""
    clips, reference, sample = report.clips, report.reference, report.sample
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "embedder": embedder_json(report.embedder),
        "sets": set_json(_all_sets(report)),
        "interval_over": interval_groups(sample.prompts)[1],
        "scores": scores_json(score(sample), report.embedder),
        "baseline": _baseline_json(report),
        "prompts": {"rows": prompt_rows(sample), "alike_below": median_nearest_distance(reference)},
        "clips": clip_rows(clips, sample, reference),
        "map": clip_map(report.sets),
        "outliers": outliers(clips, sample, reference),
        "copies": copies_json(clips, report.copies) if report.copies else None,
        "joints": joint_rows(report.sets),
        "judged": judge_sets(report.sets, report.dataset),
        "cautions": cautions_json(_all_sets(report), report.embedder, report.texts),
    }
    content["summary"] = {
        "headline": headline(content),
        "scores": {name: sentence(name, content) for name in content["scores"]},
    }
    return content


def _all_sets(report: Report) -> dict[str, ClipSet]:
    if not report.copies:
        return report.sets
    return report.sets | {"train": report.copies.train, "held_out": report.copies.held_out}


def _baseline_json(report: Report) -> dict[str, Any] | None:
    """Scores of the baseline, and their changes; over pairs if there are two or more."""
    own, before, pairs = report.baseline, report.before, report.pairs
    if own is None or before is None:
        return None
    after = report.sample
    paired = len(pairs) >= 2
    if paired:
        old, new = (list(side) for side in zip(*pairs, strict=True))
        reference, texts = after.reference, report.texts
        before_pairs = sample_of(own.only(old), reference, texts)
        changes = compare(before_pairs, sample_of(report.clips.only(new), reference, texts), paired)
    else:
        changes = compare(before, after, paired)
    return {
        "scores": scores_json(score(before), report.embedder),
        "pairs": len(pairs),
        "moved": {name: asdict(own) | {"sure": own.sure} for name, own in changes.items()},
        "prompts": prompt_rows(before),
        "clips": clip_rows(own, before, report.reference),
    }
