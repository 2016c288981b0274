"""Where tracks come from: one generator of ``Track | Rejected`` for every source, found by name."""

import hashlib
import importlib
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from dmm.errors import InputError

CaptionOrigin = Literal["sidecar", "tags", "rule", "truth"]
Load = Callable[[int, int], Float[np.ndarray, "channels samples"]]


@dataclass(frozen=True)
class Track:
    """One piece of music, with its words; the sound itself is read by ``load``.

    Tracks travel to worker processes, so ``load`` must be picklable: a module's function or a
    ``functools.partial`` of one.
    """

    id: str
    """Stable, safe as a file name, never the beginning of another id: see ``track_id``."""
    source: str
    """Name in ``SOURCES``."""
    input: str
    """What the user knows it by: a path below the input folder, or a generator and seed."""
    caption: str
    """As found, before cleaning."""
    caption_origin: CaptionOrigin
    sha256: str
    """Of the source file's bytes, or of what a generator was given."""
    load: Load
    """(sampling rate in Hz, channel count) to float32 sound in -1..1; InputError if unreadable."""
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    licence: str | None = None
    truth: dict[str, Any] | None = None
    """What a generator knows of its own piece."""
    midi: Callable[[], bytes] | None = None
    """The score as a standard MIDI file's content, for tracks of one clip; picklable like load."""


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


@dataclass(frozen=True)
class Rejected:
    """An input, or one window of it, that was refused."""

    input: str
    reason: str
    """Begins with its kind and a colon: ``silent: -71.2 dBFS RMS, below -60``."""
    start_s: float | None = None
    """Where the refused window begins, seconds; None for the whole track."""


SOURCES = {
    "folder": "dataset_tools.sources.folder",
    "minimidi": "dataset_tools.sources.minimidi_clips",
}
"""Source name to the module whose generator ``tracks(request)`` makes its tracks."""


def source_tracks(name: str, request: SourceRequest) -> Iterator[Track | Rejected]:
    """Start the named source; its module is imported only now."""
    if name not in SOURCES:
        raise InputError(f"no source {name!r}; known: {', '.join(SOURCES)}")
    return importlib.import_module(SOURCES[name]).tracks(request)


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
