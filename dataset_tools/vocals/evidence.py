"""Evidence of what a track sounds like: captions, tags, lyrics, flags and classifier scores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """All that may show whether a track has a voice; every part may be missing."""

    captions: tuple[str, ...]
    """All captions of the track as found, its own first."""
    tags: tuple[str, ...] = ()
    has_lyrics: bool | None = None
    instrumental: bool | None = None
    """A flag of the source: True for instrumental music."""
    window_probabilities: tuple[float, ...] = ()
    """The classifier's probability of a voice in every window, in order."""
