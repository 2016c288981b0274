"""The page of ``dmm data stats --html``: one file, nothing is loaded from afar."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmm.pages import template

from ..layout import SPLITS
from .stats import MEASURES, TOP

TEMPLATE = Path(__file__).with_name("stats.html.jinja")
WIDTH, HEIGHT = 240, 80
"""Of a histogram's drawing, in its own units."""
GAP = 1.0
"""Between two bars."""


@dataclass(frozen=True)
class Bar:
    """One split's part of one bin."""

    split: str
    x: float
    y: float
    width: float
    height: float
    label: str
    """Bin, split and count, for the pointer."""


def bars(distribution: dict[str, Any]) -> list[Bar]:
    """Stack the splits' counts, the first at the bottom; the highest bin fills the drawing."""
    counts, edges = distribution["counts"], distribution["edges"]
    n_bins = len(edges) - 1
    most = max(sum(counts[split][i] for split in counts) for i in range(n_bins))
    drawn = []
    for i in range(n_bins):
        top = float(HEIGHT)
        for split in (name for name in SPLITS if name in counts):
            height = counts[split][i] / most * HEIGHT
            top -= height
            if height:
                span = f"{number(edges[i])} to {number(edges[i + 1])}"
                label = f"{span}: {counts[split][i]} {split}"
                x, width = i * WIDTH / n_bins, WIDTH / n_bins - GAP
                drawn.append(Bar(split, round(x, 2), round(top, 2), width, round(height, 2), label))
    return drawn


def number(value: float) -> str:
    """Write a number as short as its size allows.

    >>> [number(x) for x in (16000.0, -14.26, 0.0312, 0.0)]
    ['16,000', '-14.3', '0.031', '0']
    """
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def duration(hours: float) -> str:
    """Say hours as people do.

    >>> [duration(h) for h in (12.34, 0.5, 0.002)]
    ['12.3 h', '30 min', '7 s']
    """
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def render_page(facts: dict[str, Any]) -> str:
    """Draw the page of what ``stats.describe`` found; everything a file says is escaped."""
    return template(TEMPLATE, number=number, duration=duration, bars=bars).render(
        facts=facts, measures=MEASURES, splits=SPLITS, top=TOP, size=(WIDTH, HEIGHT)
    )
