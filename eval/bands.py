"""The first model's figures and their owner's reading of them, ``presets/eval/bands.toml``."""

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel

PATH = Path(__file__).parents[1] / "presets" / "eval" / "bands.toml"


class Band(BaseModel, frozen=True, extra="forbid"):
    """A range of values and a word for it."""

    low: float | None = None
    """The least value in it; None for no limit."""
    high: float | None = None
    """The least value above it; None for no limit."""
    says: str

    def holds(self, value: float) -> bool:
        """Whether the value lies in it."""
        return (self.low is None or self.low <= value) and (self.high is None or value < self.high)


class Bands(BaseModel, frozen=True, extra="forbid"):
    """How one number was read."""

    value: float
    """The first model's own."""
    sd: float | None = None
    """Over its clips, where it was given."""
    clips: str
    """Which and how many clips it came from."""
    at_least: int
    """From how many clips on a value may be put beside the bands."""
    caveat: str
    """What is known against them; shown wherever they are."""
    bands: tuple[Band, ...]
    """Lowest first; there may be gaps."""

    def word(self, value: float) -> str | None:
        """The band's word, or None in a gap between two."""
        return next((band.says for band in self.bands if band.holds(value)), None)


class Source(BaseModel, frozen=True, extra="forbid"):
    """What the bands are about."""

    embedder: str
    protocol: str
    caveat: str
    """What is known against all of them."""


class FirstModel(BaseModel, frozen=True, extra="forbid"):
    """All of the file; a field's name is the metric's."""

    source: Source
    clap_score: Bands
    diversity: Bands
    fad: Bands
    cosine: Bands


@cache
def first_model() -> FirstModel:
    """The file's content, checked."""
    return FirstModel(**tomllib.loads(PATH.read_text(encoding="utf-8")))


def bands_for(metric: str, embedder: str, protocol: str, n: int) -> Bands | None:
    """The bands of a metric if they may be shown beside a value of ``n`` clips, else None.

    They may where embedder and protocol are the first model's and the clips are enough.
    """
    known = first_model()
    if (embedder, protocol) != (known.source.embedder, known.source.protocol):
        return None
    bands = (
        getattr(known, metric) if metric in FirstModel.model_fields.keys() - {"source"} else None
    )
    return bands if bands is not None and n >= bands.at_least else None
