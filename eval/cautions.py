"""Cautions about scores: silent, copied, unreadable or mismatched clips, counted and named.

No clip is dropped for a caution: leaving out failures would improve the scores. Only unreadable
files are not scored.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.embedders import Embedder, TextEmbedder

from .clip_audio import AudioProperties, cached_audio_properties
from .clips import EmbeddedClips
from .domain import LIMIT, measure_domain_fit
from .metric_table import METRICS
from .number_format import format_number

FEW_CLIPS = 10
SAME_S = 0.01
"""Tolerance of equal durations: compressed files end a frame early or late."""
VOID_SHARE = 0.1
"""Share of clips with unknown prompts that makes scores of prompts meaningless."""
NAMED = 5
"""Largest number of clips named in a sentence."""
SPLITS = ("train", "reg", "val")
"""Splits of a dataset that must not be scored or be a reference, unlike "test"."""


@dataclass(frozen=True)
class Caution:
    """A reason to doubt the scores, and the clips concerned."""

    text: str
    names: tuple[str, ...] = ()
    """Paths of the clips concerned, as they were given."""
    voids: tuple[str, ...] = ()
    """Metrics that are meaningless for this reason."""

    @property
    def sentence(self) -> str:
        """The text with the file names of the first clips.

        >>> Caution("Silent: 1 of 2 clips", ("clips/a.flac",)).sentence
        'Silent: 1 of 2 clips (a.flac).'
        """
        if not self.names:
            return f"{self.text}."
        shown = [Path(name).name for name in self.names[:NAMED]]
        more = f" and {len(self.names) - NAMED} more" if len(self.names) > NAMED else ""
        return f"{self.text} ({', '.join(shown)}{more})."


@dataclass(frozen=True)
class InspectedSet:
    """A set of clips with the audio properties of their files."""

    name: str
    """Name of the set in sentences."""
    clips: EmbeddedClips
    properties: Sequence[AudioProperties]

    def files_where(self, condition: Callable[[AudioProperties], bool]) -> list[Path]:
        """Paths of the clips that meet a condition."""
        pairs = zip(self.clips.files, self.properties, strict=True)
        return [path for path, audio in pairs if condition(audio)]


@dataclass(frozen=True)
class SharedProperty:
    """A property that should be equal for all clips."""

    name: str
    value: Callable[[AudioProperties], float]
    tolerance: float
    text: Callable[[AudioProperties], str]
    consequence: str
    """Effect on a distance between sets that differ in this property."""

    def is_same(self, one: AudioProperties, other: AudioProperties) -> bool:
        """Whether two clips have equal values, within the tolerance."""
        return abs(self.value(one) - self.value(other)) <= self.tolerance

    def typical_clip(self, properties: Sequence[AudioProperties]) -> AudioProperties:
        """The first clip with the most frequent value."""
        ((most, _),) = Counter(map(self.value, properties)).most_common(1)
        return next(audio for audio in properties if self.value(audio) == most)


SHARED_PROPERTIES = (
    SharedProperty(
        "length",
        lambda audio: audio.duration_s,
        SAME_S,
        lambda audio: f"{audio.duration_s:.2f} s",
        "the difference in length",
    ),
    SharedProperty(
        "sample rate",
        lambda audio: float(audio.sr),
        0.0,
        lambda audio: f"{audio.sr} Hz",
        "sound above half the lower rate",
    ),
)


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


def inspect_set(clips: EmbeddedClips, name: str) -> InspectedSet:
    """Measure the audio properties of a set's files, or read them from the cache."""
    pairs = zip(clips.files, clips.sha256, strict=True)
    return InspectedSet(
        name, clips, [cached_audio_properties(path, sha256) for path, sha256 in pairs]
    )


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
    text = (
        f"{embedder.name} knows no word of their prompts, so that text-audio similarity and "
        f"retrieval are meaningless: {len(found)} of {len(clips)} clips"
    )
    voids = ("clap_score", "retrieval") if len(found) >= VOID_SHARE * len(clips) else ()
    return [Caution(text, _path_strings(found), voids)] if found else []


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
    return _caution_if_any(
        "Silent", inspected.files_where(lambda audio: audio.is_silent), inspected
    )


def caution_copies(inspected: InspectedSet) -> list[Caution]:
    """Caution about clips with the same bytes as an earlier clip of the set."""
    seen: set[str] = set()
    repeated = []
    for path, sha256 in zip(inspected.clips.files, inspected.clips.sha256, strict=True):
        if sha256 in seen:
            repeated.append(path)
        seen.add(sha256)
    return _caution_if_any("The same file as another", repeated, inspected)


def caution_unusual(inspected: InspectedSet, shared: SharedProperty) -> list[Caution]:
    """Caution about clips that differ from the most frequent value in a property."""
    usual = shared.typical_clip(inspected.properties)
    odd = inspected.files_where(lambda audio: not shared.is_same(audio, usual))
    return _caution_if_any(
        f"Of another {shared.name} than the usual {shared.text(usual)}", odd, inspected
    )


def caution_sets_differ(
    ours: InspectedSet, real: InspectedSet, shared: SharedProperty
) -> list[Caution]:
    """Caution if the typical clips of both sets differ in a property."""
    mine, theirs = (shared.typical_clip(own.properties) for own in (ours, real))
    if shared.is_same(mine, theirs):
        return []
    difference = f"Clips are of {shared.text(mine)}, reference clips of {shared.text(theirs)}"
    return [Caution(f"{difference}: part of every distance is {shared.consequence}")]


def caution_in_both_sets(
    clips: EmbeddedClips, others: EmbeddedClips, meaning: str, name: str
) -> list[Caution]:
    """Caution about clips with the same bytes as a file of another set."""
    other_hashes = set(others.sha256)
    pairs = zip(clips.files, clips.sha256, strict=True)
    shared = [path for path, sha256 in pairs if sha256 in other_hashes]
    text = f"Also {meaning}: {len(shared)} of {len(clips)} {name}"
    return [Caution(text, _path_strings(shared))] if shared else []


def caution_training_split(clips: EmbeddedClips, name: str) -> list[Caution]:
    """Caution about clips from the train, reg or val split of a dataset."""
    found = [path for path in clips.files if dataset_split_of(path) in SPLITS]
    text = f"Of a dataset's training or validation split: {len(found)} of {len(clips)} {name}"
    return [Caution(text, _path_strings(found))] if found else []


def dataset_split_of(clip: Path) -> str | None:
    """Split of the DATASET that holds a clip, or None."""
    folder = clip.parent
    return folder.name if (folder.parent / "manifest.parquet").is_file() else None


def _caution_if_any(fault: str, files: Sequence[Path], inspected: InspectedSet) -> list[Caution]:
    """One caution about these files; none if there are no files."""
    text = f"{fault}: {len(files)} of {len(inspected.clips)} {inspected.name}"
    return [Caution(text, _path_strings(files))] if files else []


def _path_strings(files: Iterable[Path]) -> tuple[str, ...]:
    return tuple(str(path) for path in files)
