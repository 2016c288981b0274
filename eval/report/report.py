"""Build and write a report: scores of clips compared with real ones, as JSON and as a page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dmm.embedders import Embedder
from dmm.files import folder_lock, write_text

from ..metric_table import HEADLINE, METRICS
from ..results import cautions_json, embedder_json, scores_json, sets_json
from ..sample import Sample, jackknife_groups_and_kind
from ..scores import compare_scores, compute_scores
from ..sets import (
    ClipSet,
    embed_prompts,
    make_sample,
    matched_pairs,
    open_clips,
    open_held_out,
    open_reference,
    open_training,
    refuse_swapped,
)
from . import SHOWN_CLIPS
from .clip_map import clip_map
from .clip_rows import clip_rows, median_nearest_distance, prompt_rows
from .headline import headline
from .joints import joint_rows
from .judged_adherence import judge_sets
from .neighbours import CopySearch, copies_json, find_copies
from .outliers import outliers_json
from .page import render_page
from .sentences import metric_sentence

Table = tuple[str, Sequence[Sequence[str]]]
"""A heading, and rows of a table under it, the first of which is its head."""
SCHEMA = 2
"""Version of report.json; increased when a key changes its meaning."""


@dataclass(frozen=True)
class ReportSets:
    """The embedded clip sets of a report."""

    embedder: Embedder
    dataset: Path
    clips: ClipSet
    reference: ClipSet
    baseline: ClipSet | None
    copies: CopySearch | None
    texts: dict[str, np.ndarray] | None
    second: "ReportSets | None" = None
    """The same clips by another embedder, for scores that should agree."""

    @cached_property
    def sample(self) -> Sample:
        """Input of the metrics for the clips."""
        return make_sample(self.clips, self.reference, self.texts)

    @cached_property
    def baseline_sample(self) -> Sample | None:
        """Input of the metrics for the baseline."""
        return make_sample(self.baseline, self.reference, self.texts) if self.baseline else None

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Indices (baseline, clips) of clips with equal prompt and seed."""
        return matched_pairs(self.baseline, self.clips) if self.baseline else []

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
    ray_address: str | None = None,
    tables: Sequence[Table] = (),
    second: Embedder | None = None,
) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html`` into ``out``; returns the JSON's content.

    ``dataset`` is a DATASET folder, whose test split is the reference, or a folder of audio.
    ``baseline`` is another CLIPS folder, paired clip by clip by prompt and seed. ``train`` holds
    the training clips. The page begins with ``tables`` and shows at most ``shown`` clips of a set
    in full. The scores of a ``second`` embedder stand beside the first one's. Equal input gives
    equal bytes. InputError for a folder that cannot be used, or that another command writes to.
    """
    with folder_lock(out):
        found = embed_report_sets(clips, dataset, embedder, baseline, train, ray_address)
        if second:
            found = replace(
                found,
                second=embed_report_sets(clips, dataset, second, baseline, ray_address=ray_address),
            )
        content = report_json(found) | {"tables": [[title, rows] for title, rows in tables]}
        write_text(out / "report.json", json.dumps(content, indent=2, allow_nan=False) + "\n")
        write_text(
            out / "report.html", render_page(content, found.sets, found.copies, found.pairs, shown)
        )
    return content


def embed_report_sets(
    clips: Path,
    dataset: Path,
    embedder: Embedder,
    baseline: Path | None = None,
    train: Path | None = None,
    ray_address: str | None = None,
) -> ReportSets:
    """Embed all folders and prompts, and search for copies of training clips.

    InputError names a folder that cannot be used.
    """
    real = open_reference(dataset, embedder, ray_address)
    ours = open_clips(clips, embedder, ray_address=ray_address)
    refuse_swapped(ours, real)
    before = open_clips(baseline, embedder, ray_address=ray_address) if baseline else None
    copies = None
    if train:
        trained = open_training(train, embedder, ray_address)
        copies = find_copies(ours, trained, open_held_out(dataset, trained, embedder, ray_address))
    texts = embed_prompts(embedder, ours, real, before)
    return ReportSets(embedder, dataset, ours, real, before, copies, texts)


def report_json(report: ReportSets) -> dict[str, Any]:
    """Content of report.json without its tables; null for values that cannot be computed."""
    clips, reference, sample = report.clips, report.reference, report.sample
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "embedder": embedder_json(report.embedder),
        "sets": sets_json(_sets_with_training(report)),
        "interval_over": jackknife_groups_and_kind(sample.prompts)[1],
        "scores": scores_json(compute_scores(sample), report.embedder),
        "baseline": _baseline_json(report),
        "second": _second_embedder_json(report.second) if report.second else None,
        "prompts": {"rows": prompt_rows(sample), "alike_below": median_nearest_distance(reference)},
        "clips": clip_rows(clips, sample, reference),
        "map": clip_map(report.sets),
        "outliers": outliers_json(clips, sample, reference),
        "copies": copies_json(clips, report.copies) if report.copies else None,
        "joints": joint_rows(report.sets),
        "judged": judge_sets(report.sets, report.dataset),
        "cautions": cautions_json(_sets_with_training(report), report.embedder, report.texts),
    }
    content["void"] = sorted({name for own in content["cautions"] for name in own["voids"]})
    content["summary"] = {
        "headline": headline(content),
        "scores": {name: metric_sentence(name, content) for name in content["scores"]},
        "second": _second_sentences(content["second"]),
    }
    return content


def _sets_with_training(report: ReportSets) -> dict[str, ClipSet]:
    if not report.copies:
        return report.sets
    return report.sets | {"train": report.copies.train, "held_out": report.copies.held_out}


def _baseline_json(report: ReportSets) -> dict[str, Any] | None:
    """Scores of the baseline, and their changes."""
    baseline, sample = report.baseline, report.baseline_sample
    if baseline is None or sample is None:
        return None
    return {
        "scores": scores_json(compute_scores(sample), report.embedder),
        "pairs": len(report.pairs),
        "moved": _changes_json(report, baseline, sample),
        "prompts": prompt_rows(sample),
        "clips": clip_rows(baseline, sample, report.reference),
    }


def _changes_json(
    report: ReportSets, baseline: ClipSet, before: Sample, names: Sequence[str] = tuple(METRICS)
) -> dict[str, Any]:
    """Changes from the baseline's sample ``before``; over pairs if there are two or more."""
    after, pairs = report.sample, report.pairs
    paired = len(pairs) >= 2
    if paired:
        old, new = (list(side) for side in zip(*pairs, strict=True))
        before = make_sample(baseline.subset(old), after.reference, report.texts)
        after = make_sample(report.clips.subset(new), after.reference, report.texts)
    changes = compare_scores(before, after, paired, names)
    return {
        name: asdict(change) | {"sure": change.is_significant} for name, change in changes.items()
    }


def _second_embedder_json(report: ReportSets) -> dict[str, Any]:
    """Main scores of the second embedder, and their changes."""
    baseline, sample = report.baseline, report.baseline_sample
    return {
        "embedder": embedder_json(report.embedder),
        "scores": scores_json(compute_scores(report.sample, HEADLINE), report.embedder),
        "moved": _changes_json(report, baseline, sample, HEADLINE) if baseline and sample else {},
    }


def _second_sentences(second: dict[str, Any] | None) -> list[str]:
    """A sentence on each main score that the second embedder has."""
    if second is None:
        return []
    beside = {**second, "baseline": {"moved": second["moved"]}, "void": ()}
    by = second["embedder"]["name"]
    known = [name for name, score in second["scores"].items() if score["value"] is not None]
    return [f"By {by}: {metric_sentence(name, beside)}" for name in known]
