"""Rating bands: ranges of scores, by the first model's owner, from ``presets/eval/bands.toml``."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel

from dmm.files import read_toml

PATH = Path(__file__).parents[1] / "presets" / "eval" / "bands.toml"


class Band(BaseModel, frozen=True, extra="forbid"):
    """A range of values and its rating."""

    low: float | None = None
    """Lower bound, inclusive; None for no bound."""
    high: float | None = None
    """Upper bound, exclusive; None for no bound."""
    rating: str

    def contains(self, value: float) -> bool:
        """Whether the value lies in the band."""
        return (self.low is None or self.low <= value) and (self.high is None or value < self.high)


class MetricBands(BaseModel, frozen=True, extra="forbid"):
    """Bands of one metric, and the value they were made for."""

    value: float
    """Score of the first model."""
    sd: float | None = None
    """Standard deviation over the first model's clips; None if unknown."""
    clips: str
    """Clips that the first model's score was computed from."""
    at_least: int
    """Smallest number of clips for which the bands are shown."""
    caveat: str
    """Known flaw of the bands; shown with them."""
    bands: tuple[Band, ...]
    """Bands from low to high, perhaps with gaps."""

    def rating_of(self, value: float) -> str | None:
        """Rating of the value, or None in a gap between two bands."""
        return next((band.rating for band in self.bands if band.contains(value)), None)


class EmbedderAndProtocol(BaseModel, frozen=True, extra="forbid"):
    """Embedder and protocol that the bands are for."""

    embedder: str
    protocol: str
    caveat: str
    """Known flaw of all bands."""


class BandsFile(BaseModel, frozen=True, extra="forbid"):
    """Content of ``bands.toml``; its fields are named as the metrics."""

    source: EmbedderAndProtocol
    clap_score: MetricBands
    diversity: MetricBands
    fad: MetricBands
    cosine: MetricBands


@cache
def read_bands_file() -> BandsFile:
    """Read and validate ``bands.toml``."""
    return read_toml(PATH, BandsFile)


def bands_for(metric: str, embedder: str, protocol: str, n: int) -> MetricBands | None:
    """Bands to show beside a score of ``n`` clips, else None.

    Embedder and protocol must be the first model's, and the clips enough.
    """
    model = read_bands_file()
    if (embedder, protocol) != (model.source.embedder, model.source.protocol):
        return None
    bands = getattr(model, metric) if metric in BandsFile.model_fields.keys() - {"source"} else None
    return bands if bands is not None and n >= bands.at_least else None
