"""Render the page of ``dmm data stats --html``, one file with histograms and tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmm.pages import template

from ..layout import SPLITS
from .stats import MEASURES, TOP

TEMPLATE = Path(__file__).with_name("stats.html.jinja")
WIDTH, HEIGHT = 240, 80
"""Size of a histogram, in units of its drawing."""
GAP = 1.0
"""Distance between two bars."""
ORIGINS = {"rule": "file name", "truth": "known truth", "sound": "its sound"}
"""Captions' origins in the manifest to plainer words, where these are needed."""


@dataclass(frozen=True)
class Bar:
    """The clips of one split in one bin of a histogram."""

    split: str
    x: float
    y: float
    width: float
    height: float
    label: str
    """Bin, count and split, shown under the mouse pointer."""


def histogram_bars(distribution: dict[str, Any]) -> list[Bar]:
    """Stack the counts of the splits, the first at the bottom; the highest bin has full height."""
    counts, edges = distribution["counts"], distribution["edges"]
    n_bins = len(edges) - 1
    most = max(sum(counts[split][i] for split in counts) for i in range(n_bins))
    stacked = []
    for i in range(n_bins):
        top = float(HEIGHT)
        for split in (name for name in SPLITS if name in counts):
            height = counts[split][i] / most * HEIGHT
            top -= height
            if height:
                span = f"{format_number(edges[i])} to {format_number(edges[i + 1])}"
                label = f"{span}: {counts[split][i]} {split}"
                x, width = i * WIDTH / n_bins, WIDTH / n_bins - GAP
                stacked.append(
                    Bar(split, round(x, 2), round(top, 2), width, round(height, 2), label)
                )
    return stacked


def named_origins(origins: dict[str, int]) -> dict[str, int]:
    """Replace origins by plainer words, in counts of captions by origin."""
    return {ORIGINS.get(name, name): count for name, count in origins.items()}


def format_number(value: float) -> str:
    """Format a number with about three digits.

    >>> [format_number(x) for x in (16000.0, -14.26, 0.0312, 0.0)]
    ['16,000', '-14.3', '0.031', '0']
    """
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def format_hours(hours: float) -> str:
    """Format hours in the largest unit of which there is at least one.

    >>> [format_hours(h) for h in (12.34, 0.5, 0.002)]
    ['12.3 h', '30 min', '7 s']
    """
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def render_page(facts: dict[str, Any]) -> str:
    """Render the page of ``stats.dataset_statistics``; texts from files are escaped."""
    return template(
        TEMPLATE, number=format_number, duration=format_hours, bars=histogram_bars
    ).render(
        facts=facts,
        measures=MEASURES,
        splits=SPLITS,
        top=TOP,
        size=(WIDTH, HEIGHT),
        named_origins=named_origins,
    )
