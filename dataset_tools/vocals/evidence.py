"""Evidence of a voice in a track: captions, tags, lyrics, a flag and the classifier's scores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VoiceEvidence:
    """All that may show whether a track has a voice; every part may be empty or None."""

    captions: tuple[str, ...]
    """Captions of the track before any rule changed them, its main caption first."""
    tags: tuple[str, ...] = ()
    has_lyrics: bool | None = None
    """Whether its lyrics have words; None without lyrics."""
    instrumental: bool | None = None
    """The flag of its source: True for instrumental music, None without a flag."""
    window_probabilities: tuple[float, ...] = ()
    """The classifier's probability of a voice in every window, in order."""
