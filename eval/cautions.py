"""Cautions about scores: silent, copied, unreadable or mismatched clips, counted and named.

No clip is dropped for a caution: leaving out failures would improve the scores. Only unreadable
files are not scored.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.embedders import Embedder, TextEmbedder

from .caution import Caution, InspectedSet, caution_if_any, inspect_set
from .clips import EmbeddedClips
from .domain import LIMIT, measure_domain_fit
from .metric_table import METRICS
from .number_format import format_number
from .shared_properties import SHARED_PROPERTIES, caution_sets_differ, caution_unusual

FEW_CLIPS = 10
VOID_SHARE = 0.1
"""Share of clips with unknown prompts that makes scores of prompts meaningless."""
SPLITS = ("train", "reg", "val")
"""Splits of a dataset that must not be scored or be a reference, unlike "test"."""


def cautions_of_files(
    clips: EmbeddedClips,
    reference: EmbeddedClips | None = None,
    train: EmbeddedClips | None = None,
) -> list[Caution]:
    """Cautions from the files of clips, of their reference and of the training clips."""
    ours = inspect_set(clips, "clips")
    found = [
        *caution_too_few(clips),
        *caution_training_split(clips, "clips"),
        *cautions_of_one_set(ours),
    ]
    if train:
        found += caution_in_both_sets(
            clips, train, "training files, so nothing was generated", "clips"
        )
    if reference is None:
        return found
    real = inspect_set(reference, "reference clips")
    found += caution_in_both_sets(
        clips, reference, "files of the reference, so the scores flatter", "clips"
    )
    if train:
        found += caution_in_both_sets(
            reference, train, "training files, so copying is rewarded", "reference clips"
        )
    found += [*caution_training_split(reference, "reference clips"), *cautions_of_one_set(real)]
    return found + [
        c for shared in SHARED_PROPERTIES for c in caution_sets_differ(ours, real, shared)
    ]


def cautions_of_one_set(inspected: InspectedSet) -> list[Caution]:
    """Cautions that need no other set."""
    odd = (c for shared in SHARED_PROPERTIES for c in caution_unusual(inspected, shared))
    return [
        *caution_unreadable(inspected),
        *caution_silent(inspected),
        *caution_copies(inspected),
        *odd,
    ]


def caution_too_few(clips: EmbeddedClips) -> list[Caution]:
    """Caution if there are fewer than ten clips."""
    if len(clips) >= FEW_CLIPS:
        return []
    return [Caution(f"Only {len(clips)} clips: the scores are rough below {FEW_CLIPS}")]


def caution_unreadable(inspected: InspectedSet) -> list[Caution]:
    """Caution about unreadable files, which are in no score; empty without any."""
    names = tuple(line.partition(": ")[0] for line in inspected.clips.skipped)
    text = f"Left out of all scores, because they cannot be read: {len(names)} {inspected.name}"
    return [Caution(text, names)] if names else []


def caution_unknown_prompts(
    clips: EmbeddedClips,
    prompts: Sequence[str | None],
    texts: Mapping[str, Float[np.ndarray, " dim"]],
    embedder: TextEmbedder,
) -> list[Caution]:
    """Caution about clips whose prompt has the embedding of an empty text.

    ``texts`` maps each prompt to its row by ``embedder``.
    """
    empty_text = embedder.embed_text([""])[0]
    distinct = {prompt for prompt in prompts if prompt}
    empty = {prompt for prompt in distinct if np.allclose(texts[prompt], empty_text, atol=1e-6)}
    found = [
        path for path, clip_prompt in zip(clips.files, prompts, strict=True) if clip_prompt in empty
    ]
    fault = (
        f"{embedder.name} knows no word of their prompts, so that text-audio similarity and "
        "retrieval are meaningless"
    )
    voids = ("clap_score", "retrieval") if len(found) >= VOID_SHARE * len(clips) else ()
    return caution_if_any(fault, found, len(clips), "clips", voids)


def caution_unknown_music(embedder: Embedder, real: EmbeddedClips) -> list[Caution]:
    """Caution if the embedder was trained on another kind of music, so that no score means much."""
    found = measure_domain_fit(embedder, real.rows)
    if found is None or found.is_known:
        return []
    text = (
        f"{embedder.name} does not know this kind of music: the reference clips are at a median "
        f"distance of {format_number(found.distance)} from its training clips, limit {LIMIT:g}. "
        "Leave out --embedder, or name CLAP with --weights"
    )
    return [Caution(text, voids=tuple(METRICS))]


def caution_silent(inspected: InspectedSet) -> list[Caution]:
    """Caution about clips with a peak below -60 dB."""
    return inspected.caution_if_any("Silent", inspected.files_where(lambda a: a.is_silent))


def caution_copies(inspected: InspectedSet) -> list[Caution]:
    """Caution about clips with the same bytes as an earlier clip of the set."""
    seen: set[str] = set()
    repeated = []
    for path, sha256 in zip(inspected.clips.files, inspected.clips.sha256, strict=True):
        if sha256 in seen:
            repeated.append(path)
        seen.add(sha256)
    return inspected.caution_if_any("The same file as another", repeated)


def caution_in_both_sets(
    clips: EmbeddedClips, others: EmbeddedClips, meaning: str, name: str
) -> list[Caution]:
    """Caution about clips with the same bytes as a file of another set."""
    other_hashes = set(others.sha256)
    pairs = zip(clips.files, clips.sha256, strict=True)
    shared = [path for path, sha256 in pairs if sha256 in other_hashes]
    return caution_if_any(f"Also {meaning}", shared, len(clips), name)


def caution_training_split(clips: EmbeddedClips, name: str) -> list[Caution]:
    """Caution about clips from the train, reg or val split of a dataset."""
    found = [path for path in clips.files if dataset_split_of(path) in SPLITS]
    fault = "Of a dataset's training or validation split"
    return caution_if_any(fault, found, len(clips), name)


def dataset_split_of(clip: Path) -> str | None:
    """Split of the DATASET that holds a clip, or None."""
    folder = clip.parent
    return folder.name if (folder.parent / "manifest.parquet").is_file() else None
