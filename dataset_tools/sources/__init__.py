"""The items that a dataset source yields: ``Track``, and ``Rejected`` for unusable inputs."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

CaptionOrigin = Literal["sidecar", "tags", "title", "rule", "truth", "table", "edited", "sound"]
"""Where a caption comes from; ``rule`` is the file's name, ``sound`` a description by
``--describe``."""
Sound = Float[np.ndarray, "channels samples"]
Stream = Callable[[int, int], Iterable[np.ndarray]]


@dataclass(frozen=True)
class Track:
    """One piece of music with its captions and tags; its sound is read by calling ``stream``.

    Tracks are sent to worker processes, so ``stream`` must be picklable: a function of a module, or
    a ``functools.partial`` of one.
    """

    id: str
    """Stable, safe as a file name, never a prefix of another id: see ``track_id``."""
    source: str
    """Name in ``SOURCES`` of ``catalogue.py``."""
    input: str
    """Name that the user knows: a path below the input folder, or a generator and its seed."""
    caption: str
    """As found, before cleaning."""
    caption_origin: CaptionOrigin
    sha256: str
    """Hash of the file's bytes, or of a generator's arguments."""
    stream: Stream
    """Function of a sampling rate (Hz) and a number of channels that yields blocks of float32 sound
    in -1..1, in order; InputError if the sound cannot be read."""
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    licence: str | None = None
    more_captions: tuple[str, ...] = ()
    """Captions by other people; each clip gets one of all captions."""
    tags: tuple[str, ...] = ()
    """As found: free words, or MTG-Jamendo's ``instrument---voice``."""
    has_lyrics: bool | None = None
    """Whether the file comes with lyrics; None if that is unknown."""
    instrumental: bool | None = None
    """A flag that comes with the file; it may be wrong."""
    url: str | None = None
    """Web page of the track."""
    is_reg: bool = False
    """Whether the track is for regularisation only."""
    truth: dict[str, Any] | None = None
    """Exact facts about a generated piece: instruments, tempo, key, notes."""
    midi: Callable[[], bytes] | None = None
    """Returns the score as a standard MIDI file, for tracks of one clip; must be picklable."""

    def load(self, sr: int, channels: int) -> Sound:
        """Read the whole sound at once."""
        return np.concatenate(list(self.stream(sr, channels)), axis=1)


@dataclass(frozen=True)
class SourceRequest:
    """Options for the sources; each source uses those that concern it."""

    input: Path | None = None
    """File or folder to read."""
    licence: str | None = None
    """Licence of tracks that name none."""
    count: int = 100
    """Number of pieces to generate; a larger count begins with the same pieces."""
    styles: tuple[str, ...] = ()
    """Styles to generate; empty for the source's default."""
    seed: int = 0
    duration_s: float = 5.12
    """Length of generated pieces: one clip of the format."""
    instruments: tuple[str, ...] = ()
    """Instruments that must all play in a generated piece; empty for any."""
    unseen: bool = False
    """Compose only for the pairs of instruments that are kept for testing."""
    soundfont: Path | None = None
    """SoundFont that plays generated pieces; None for the generator's own synthesiser."""
    vocals: float = 0.0
    """Share of generated pieces with a synthetic singer, 0..1."""
    mixed_players: float = 0.0
    """Share of generated pieces whose instruments come from all base styles, 0..1."""
    tags: Path | None = None
    """MTG-Jamendo's tab-separated tags, for Song Describer; None for those beside the captions."""
    valid_only: bool = False
    """Take only captions of Song Describer that its reviewers found valid."""
    caption_column: str | None = None
    """Column of captions in a Hugging Face dataset; None finds it by its name."""


@dataclass(frozen=True)
class Rejected:
    """An input, or one window of it, that was refused."""

    input: str
    reason: str
    """Begins with its kind and a colon: ``silent: -71.2 dBFS RMS, below -60``."""
    start_s: float | None = None
    """Start of the refused window, seconds; None if the whole track is refused."""


def track_id(name: str, sha256: str) -> str:
    """Id of a track: at most 40 characters of its name, then ten digits of its hash.

    The hash is last and of fixed length, so that no id is a prefix of another: sd-scripts finds an
    image's cached latents by the prefix of their file name.

    >>> track_id("Café del Mar/01 Été.flac", "0123456789abcdef")
    'cafe-del-mar-01-ete-flac-0123456789'
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower())[:40].strip("-")
    return f"{slug or 'track'}-{sha256[:10]}"


def text_sha256(text: str) -> str:
    """Hash a text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
