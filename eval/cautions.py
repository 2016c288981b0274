"""What makes scores doubtful: every finding counts the clips it is about and names them.

Nothing is dropped for it. A silent clip counts in every score, because leaving out failures would
flatter; only what cannot be read at all has no embedding.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmm.embedders import TextEmbedder

from .clips import EmbeddedClips
from .sound import SoundFacts, facts_of

FEW_CLIPS = 10
SAME_S = 0.01
"""Durations this near are the same: compressed files end a frame early or late."""
NAMED = 5
"""Names that a sentence has room for."""
SPLITS = ("train", "reg", "val")
"""Of a dataset; its other split, test, is what clips are held against."""


@dataclass(frozen=True)
class Finding:
    """One thing a reader must know before trusting the scores."""

    text: str
    names: tuple[str, ...] = ()
    """Paths of the clips it is about, as they were given."""

    @property
    def sentence(self) -> str:
        """Text, with the first names by their last part.

        >>> Finding("Silent: 1 of 2 clips", ("clips/a.flac",)).sentence
        'Silent: 1 of 2 clips (a.flac).'
        """
        if not self.names:
            return f"{self.text}."
        shown = [Path(name).name for name in self.names[:NAMED]]
        more = f" and {len(self.names) - NAMED} more" if len(self.names) > NAMED else ""
        return f"{self.text} ({', '.join(shown)}{more})."


@dataclass(frozen=True)
class HeardSet:
    """A set of clips with what their files hold."""

    name: str
    """What a sentence calls them."""
    clips: EmbeddedClips
    sounds: Sequence[SoundFacts]

    def where(self, holds: Callable[[SoundFacts], bool]) -> list[Path]:
        """The clips of which something holds."""
        pairs = zip(self.clips.files, self.sounds, strict=True)
        return [path for path, sound in pairs if holds(sound)]


@dataclass(frozen=True)
class Measure:
    """What all clips should have in common."""

    name: str
    value: Callable[[SoundFacts], float]
    tolerance: float
    in_words: Callable[[SoundFacts], str]
    consequence: str
    """What a distance between sets that differ in it measures."""

    def same(self, one: SoundFacts, other: SoundFacts) -> bool:
        """Whether two sounds are alike in it."""
        return abs(self.value(one) - self.value(other)) <= self.tolerance

    def usual(self, sounds: Sequence[SoundFacts]) -> SoundFacts:
        """The first sound that has the most frequent value."""
        ((most, _),) = Counter(map(self.value, sounds)).most_common(1)
        return next(sound for sound in sounds if self.value(sound) == most)


MEASURES = (
    Measure(
        "length",
        lambda sound: sound.duration_s,
        SAME_S,
        lambda sound: f"{sound.duration_s:.2f} s",
        "the difference in length",
    ),
    Measure(
        "sample rate",
        lambda sound: float(sound.sr),
        0.0,
        lambda sound: f"{sound.sr} Hz",
        "what sounds above half the lower rate",
    ),
)


def cautions(
    clips: EmbeddedClips,
    reference: EmbeddedClips | None = None,
    train: EmbeddedClips | None = None,
) -> list[Finding]:
    """All findings on clips, what they are held against, and what was trained on."""
    ours = heard(clips, "clips")
    found = [*too_few(clips), *a_training_split(clips, "clips"), *of_one_set(ours)]
    if train:
        found += in_both(clips, train, "training files, so nothing was generated", "clips")
    if reference is None:
        return found
    real = heard(reference, "reference clips")
    found += in_both(clips, reference, "files of the reference, so the scores flatter", "clips")
    if train:
        found += in_both(
            reference, train, "training files, so copying is rewarded", "reference clips"
        )
    found += [*a_training_split(reference, "reference clips"), *of_one_set(real)]
    return found + [f for measure in MEASURES for f in unlike(ours, real, measure)]


def of_one_set(own: HeardSet) -> list[Finding]:
    """Findings that need no other set."""
    odd = (f for measure in MEASURES for f in of_another(own, measure))
    return [*left_out(own), *silent(own), *copies(own), *odd]


def heard(clips: EmbeddedClips, name: str) -> HeardSet:
    """The set with its sounds' facts, which are kept in the cache."""
    pairs = zip(clips.files, clips.sha256, strict=True)
    return HeardSet(name, clips, [facts_of(path, sha256) for path, sha256 in pairs])


def too_few(clips: EmbeddedClips) -> list[Finding]:
    """Every score is rough for a handful."""
    if len(clips) >= FEW_CLIPS:
        return []
    return [Finding(f"Only {len(clips)} clips: the scores are rough below {FEW_CLIPS}")]


def left_out(own: HeardSet) -> list[Finding]:
    """Files that are missing from all scores; ``skipped`` says why."""
    names = tuple(line.partition(": ")[0] for line in own.clips.skipped)
    text = f"Left out of all scores, because they cannot be read: {len(names)} {own.name}"
    return [Finding(text, names)] if names else []


def unread(
    clips: EmbeddedClips,
    prompts: Sequence[str | None],
    texts: Mapping[str, Float[np.ndarray, " dim"]],
    reader: TextEmbedder,
) -> list[Finding]:
    """Clips whose prompt reads like no words at all: their similarity is that to nothing.

    ``texts`` holds every prompt as ``reader`` reads it.
    """
    nothing = reader.embed_text([""])[0]
    asked = {prompt for prompt in prompts if prompt}
    empty = {prompt for prompt in asked if np.allclose(texts[prompt], nothing, atol=1e-6)}
    found = [path for path, own in zip(clips.files, prompts, strict=True) if own in empty]
    text = (
        f"{reader.name} knows no word of their prompts, so that text-audio similarity and "
        f"retrieval say nothing: {len(found)} of {len(clips)} clips"
    )
    return [Finding(text, _names(found))] if found else []


def silent(own: HeardSet) -> list[Finding]:
    """Clips in which nothing can be heard."""
    return _about("Silent", own.where(lambda sound: sound.is_silent), own)


def copies(own: HeardSet) -> list[Finding]:
    """Clips that have the same bytes as an earlier one."""
    seen: set[str] = set()
    again = []
    for path, sha256 in zip(own.clips.files, own.clips.sha256, strict=True):
        if sha256 in seen:
            again.append(path)
        seen.add(sha256)
    return _about("The same file as another", again, own)


def of_another(own: HeardSet, measure: Measure) -> list[Finding]:
    """Clips that differ from most of their set in length or rate."""
    usual = measure.usual(own.sounds)
    odd = own.where(lambda sound: not measure.same(sound, usual))
    what = f"Of another {measure.name} than the usual {measure.in_words(usual)}"
    return _about(what, odd, own)


def unlike(ours: HeardSet, real: HeardSet, measure: Measure) -> list[Finding]:
    """Sets whose usual clips differ in length or rate: a distance then measures that too."""
    mine, theirs = (measure.usual(own.sounds) for own in (ours, real))
    if measure.same(mine, theirs):
        return []
    told = f"Clips are of {measure.in_words(mine)}, reference clips of {measure.in_words(theirs)}"
    return [Finding(f"{told}: part of every distance is {measure.consequence}")]


def in_both(clips: EmbeddedClips, others: EmbeddedClips, told: str, name: str) -> list[Finding]:
    """Clips with the same bytes as a file of another set."""
    known = set(others.sha256)
    pairs = zip(clips.files, clips.sha256, strict=True)
    twins = [path for path, sha256 in pairs if sha256 in known]
    text = f"Also {told}: {len(twins)} of {len(clips)} {name}"
    return [Finding(text, _names(twins))] if twins else []


def a_training_split(clips: EmbeddedClips, name: str) -> list[Finding]:
    """Clips that lie in a split of a dataset which is not there to be compared with."""
    found = [path for path in clips.files if split_of(path) in SPLITS]
    text = f"Of a dataset's training or validation split: {len(found)} of {len(clips)} {name}"
    return [Finding(text, _names(found))] if found else []


def split_of(clip: Path) -> str | None:
    """The split of the DATASET folder that a clip lies in, or None."""
    folder = clip.parent
    return folder.name if (folder.parent / "manifest.parquet").is_file() else None


def _about(what: str, files: Sequence[Path], own: HeardSet) -> list[Finding]:
    text = f"{what}: {len(files)} of {len(own.clips)} {own.name}"
    return [Finding(text, _names(files))] if files else []


def _names(files: Iterable[Path]) -> tuple[str, ...]:
    return tuple(str(path) for path in files)
