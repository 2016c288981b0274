"""What is known about the voice in a track before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """Everything that may tell whether a track has a voice; each part may be missing.

    `heard` is the classifier's probability of a voice per window, in the order of the windows.
    """

    captions: tuple[str, ...]  # all captions of the track, raw, the own first one first
    tags: tuple[str, ...] = ()
    has_lyrics: bool | None = None
    instrumental: bool | None = None  # what a flag of the source claims
    heard: tuple[float, ...] = ()
