"""Properties that all clips should share, or else distances measure them: length and rate."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .caution import Caution, InspectedSet
from .clip_audio import AudioProperties

SAME_S = 0.01
"""Tolerance of equal durations: compressed files end a frame early or late."""


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


def caution_unusual(inspected: InspectedSet, shared: SharedProperty) -> list[Caution]:
    """Caution about clips that differ from the most frequent value in a property."""
    usual = shared.typical_clip(inspected.properties)
    odd = inspected.files_where(lambda audio: not shared.is_same(audio, usual))
    fault = f"Of another {shared.name} than the usual {shared.text(usual)}"
    return inspected.caution_if_any(fault, odd)


def caution_sets_differ(
    ours: InspectedSet, real: InspectedSet, shared: SharedProperty
) -> list[Caution]:
    """Caution if the typical clips of both sets differ in a property."""
    mine, theirs = (shared.typical_clip(own.properties) for own in (ours, real))
    if shared.is_same(mine, theirs):
        return []
    difference = f"Clips are of {shared.text(mine)}, reference clips of {shared.text(theirs)}"
    return [Caution(f"{difference}: part of every distance is {shared.consequence}")]
