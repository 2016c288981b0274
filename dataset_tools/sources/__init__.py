"""What a dataset source yields: ``Track`` for music, ``Rejected`` for what cannot be used."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

CaptionOrigin = Literal["sidecar", "tags", "rule", "truth", "table"]
Sound = Float[np.ndarray, "channels samples"]
Stream = Callable[[int, int], Iterable[np.ndarray]]


@dataclass(frozen=True)
class Track:
    """One piece of music, with its words; the sound itself is read by ``stream``.

    Tracks travel to worker processes, so ``stream`` must be picklable: a module's function or a
    ``functools.partial`` of one.
    """

    id: str
    """Stable, safe as a file name, never the beginning of another id: see ``track_id``."""
    source: str
    """Name in ``SOURCES`` of ``catalogue.py``."""
    input: str
    """What the user knows it by: a path below the input folder, or a generator and seed."""
    caption: str
    """As found, before cleaning."""
    caption_origin: CaptionOrigin
    sha256: str
    """Of the source file's bytes, or of what a generator was given."""
    stream: Stream
    """(sampling rate in Hz, channel count) to blocks of float32 sound in -1..1, in order;
    InputError if, or where, it is unreadable."""
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    licence: str | None = None
    more_captions: tuple[str, ...] = ()
    """Other people's words for the same track, kept apart: a clip bears one of them all."""
    tags: tuple[str, ...] = ()
    """As found: free words, or MTG-Jamendo's ``instrument---voice``."""
    has_lyrics: bool | None = None
    """Whether words to be sung lie beside the sound; None where nothing could tell."""
    instrumental: bool | None = None
    """What a flag beside the sound claims; evidence, not proof."""
    url: str | None = None
    """Where the track is published."""
    is_reg: bool = False
    """Given for regularisation: never trained on as itself."""
    truth: dict[str, Any] | None = None
    """What a generator knows of its own piece."""
    midi: Callable[[], bytes] | None = None
    """The score as a standard MIDI file's content, for tracks of one clip; picklable too."""

    def load(self, sr: int, channels: int) -> Sound:
        """The whole sound at once."""
        return np.concatenate(list(self.stream(sr, channels)), axis=1)


@dataclass(frozen=True)
class SourceRequest:
    """What the user asked of a source; each source takes what concerns it."""

    input: Path | None = None
    """Folder to read."""
    licence: str | None = None
    """For tracks that name none."""
    count: int = 100
    """How many pieces to generate; the first ones of a larger count are the same."""
    styles: tuple[str, ...] = ()
    """Styles to generate; empty for the source's own choice."""
    seed: int = 0
    duration_s: float = 5.12
    """Length of one clip of the format."""
    instruments: tuple[str, ...] = ()
    """Names that must all play in what is generated; empty takes all."""
    unseen: bool = False
    """Compose for the pairs of instruments that are kept for testing, and for no others."""
    soundfont: Path | None = None
    """SoundFont that plays what is generated; None for the generator's own synthesiser."""
    vocals: float = 0.0
    """Share of generated pieces with a synthetic singer, 0..1."""
    tags: Path | None = None
    """MTG-Jamendo's tab-separated tags, for Song Describer; None for those beside the captions."""
    valid_only: bool = False
    """Of Song Describer, only captions that its reviewers found valid."""
    caption_column: str | None = None
    """Column of words in a Hugging Face dataset; None finds it by its name."""


@dataclass(frozen=True)
class Rejected:
    """An input, or one window of it, that was refused."""

    input: str
    reason: str
    """Begins with its kind and a colon: ``silent: -71.2 dBFS RMS, below -60``."""
    start_s: float | None = None
    """Where the refused window begins, seconds; None for the whole track."""


def track_id(name: str, sha256: str) -> str:
    """Make an id: a readable part of at most 40 letters, then ten digits of the hash.

    The hash comes last and has a fixed length, so no id is the beginning of another: sd-scripts
    finds an image's cached latents by the beginning of their file name.

    >>> track_id("Café del Mar/01 Été.flac", "0123456789abcdef")
    'cafe-del-mar-01-ete-flac-0123456789'
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower())[:40].strip("-")
    return f"{slug or 'track'}-{sha256[:10]}"


def text_sha256(text: str) -> str:
    """Hash a text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
