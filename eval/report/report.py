"""Build and write a report: scores of clips compared with real ones, as JSON and as a page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dmm.embedders import Embedder
from dmm.files import write_text

from ..metric_table import HEADLINE, METRICS
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
from .headline import headline
from .joints import joint_rows
from .judged_adherence import judge_sets
from .neighbours import Copies, copies_json, find_copies
from .outliers import outliers
from .page import render_page
from .sentences import sentence

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
    second: "Report | None" = None
    """The same clips by another embedder, for scores that should agree."""

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
    second: Embedder | None = None,
) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html`` into ``out``; returns the JSON's content.

    ``dataset`` is a DATASET folder, whose test split is the reference, or a folder of audio.
    ``baseline`` is another CLIPS folder, paired clip by clip by prompt and seed. ``train`` holds
    the training clips. The page begins with ``tables`` and shows at most ``shown`` clips of a set
    in full. The scores of a ``second`` embedder stand beside the first one's. Equal input gives
    equal bytes.
    """
    found = open_report(clips, dataset, embedder, baseline, train, ray)
    if second:
        found = replace(found, second=open_report(clips, dataset, second, baseline, ray=ray))
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
        "second": _second_json(report.second) if report.second else None,
        "prompts": {"rows": prompt_rows(sample), "alike_below": median_nearest_distance(reference)},
        "clips": clip_rows(clips, sample, reference),
        "map": clip_map(report.sets),
        "outliers": outliers(clips, sample, reference),
        "copies": copies_json(clips, report.copies) if report.copies else None,
        "joints": joint_rows(report.sets),
        "judged": judge_sets(report.sets, report.dataset),
        "cautions": cautions_json(_all_sets(report), report.embedder, report.texts),
    }
    content["void"] = sorted({name for own in content["cautions"] for name in own["voids"]})
    content["summary"] = {
        "headline": headline(content),
        "scores": {name: sentence(name, content) for name in content["scores"]},
        "second": _second_sentences(content["second"]),
    }
    return content


def _all_sets(report: Report) -> dict[str, ClipSet]:
    if not report.copies:
        return report.sets
    return report.sets | {"train": report.copies.train, "held_out": report.copies.held_out}


def _baseline_json(report: Report) -> dict[str, Any] | None:
    """Scores of the baseline, and their changes."""
    own, before = report.baseline, report.before
    if own is None or before is None:
        return None
    return {
        "scores": scores_json(score(before), report.embedder),
        "pairs": len(report.pairs),
        "moved": _moved_json(report, own, before),
        "prompts": prompt_rows(before),
        "clips": clip_rows(own, before, report.reference),
    }


def _moved_json(
    report: Report, own: ClipSet, before: Sample, names: Sequence[str] = tuple(METRICS)
) -> dict[str, Any]:
    """Changes since the baseline ``own``; over pairs if there are two or more."""
    after, pairs = report.sample, report.pairs
    paired = len(pairs) >= 2
    if paired:
        old, new = (list(side) for side in zip(*pairs, strict=True))
        before = sample_of(own.only(old), after.reference, report.texts)
        after = sample_of(report.clips.only(new), after.reference, report.texts)
    changes = compare(before, after, paired, names)
    return {name: asdict(change) | {"sure": change.sure} for name, change in changes.items()}


def _second_json(report: Report) -> dict[str, Any]:
    """Main scores of the second embedder, and their changes."""
    own, before = report.baseline, report.before
    return {
        "embedder": embedder_json(report.embedder),
        "scores": scores_json(score(report.sample, HEADLINE), report.embedder),
        "moved": _moved_json(report, own, before, HEADLINE) if own and before else {},
    }


def _second_sentences(second: dict[str, Any] | None) -> list[str]:
    """A sentence on each main score that the second embedder has."""
    if second is None:
        return []
    beside = {**second, "baseline": {"moved": second["moved"]}, "void": ()}
    by = second["embedder"]["name"]
    known = [name for name, score in second["scores"].items() if score["value"] is not None]
    return [f"By {by}: {sentence(name, beside)}" for name in known]
