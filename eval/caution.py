"""A reason to doubt scores, and a set of clips whose files give reasons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .clip_audio import AudioProperties, cached_audio_properties
from .clips import EmbeddedClips

NAMED = 5
"""Largest number of clips named in a sentence."""


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


def caution_if_any(
    fault: str, files: Sequence[Path], total: int, name: str, voids: tuple[str, ...] = ()
) -> list[Caution]:
    """One caution about these files out of ``total`` of a set; none if there are no files."""
    text = f"{fault}: {len(files)} of {total} {name}"
    return [Caution(text, tuple(map(str, files)), voids)] if files else []


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

    def caution_if_any(self, fault: str, files: Sequence[Path]) -> list[Caution]:
        """One caution about these files of the set; none if there are no files."""
        return caution_if_any(fault, files, len(self.clips), self.name)


def inspect_set(clips: EmbeddedClips, name: str) -> InspectedSet:
    """Measure the audio properties of a set's files, or read them from the cache."""
    pairs = zip(clips.files, clips.sha256, strict=True)
    return InspectedSet(
        name, clips, [cached_audio_properties(path, sha256) for path, sha256 in pairs]
    )
