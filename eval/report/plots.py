"""Where things lie in the page's plots, in percent of width and height."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MARGIN = 5.0
MAP_SHAPE = 1.6
"""Width by height of the map, in which both directions have one scale."""


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers on a line from ``MARGIN`` to 100 - ``MARGIN`` percent."""

    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Axis":
        """From the least to the greatest of the values."""
        return cls(min(values), max(values))

    def at(self, value: float) -> float:
        """Percent of the way.

        >>> Axis(0.0, 2.0).at(1.0)
        50.0
        """
        width = (self.most - self.least) or 1.0
        return round(MARGIN + (100 - 2 * MARGIN) * (value - self.least) / width, 2)

    def span(self, low: float | None, high: float | None) -> tuple[float, float] | None:
        """Start and length of an interval; None where there is none."""
        if low is None or high is None:
            return None
        return self.at(low), round(self.at(high) - self.at(low), 2)


@dataclass(frozen=True)
class Line:
    """A metric's number line; None where there is no such."""

    value: float
    span: tuple[float, float] | None
    before: float | None
    real: float | None
    real_span: tuple[float, float] | None
    chance: float | None
    axis: Axis


def number_line(score: dict[str, Any], before: dict[str, Any] | None) -> Line | None:
    """Place a figure, what it was, and what real clips reach; None for a figure without value."""
    if score["value"] is None:
        return None
    chance = score["detail"].get("shuffled_mean", score["detail"].get("chance"))
    old = before["value"] if before else None
    values = [score[key] for key in ("value", "low", "high", "real", "real_low", "real_high")]
    axis = Axis.of([x for x in [*values, chance, old] if x is not None])

    def at(value: float | None) -> float | None:
        return None if value is None else axis.at(value)

    return Line(
        axis.at(score["value"]),
        axis.span(score["low"], score["high"]),
        at(old),
        at(score["real"]),
        axis.span(score["real_low"], score["real_high"]),
        at(chance),
        axis,
    )


def map_places(points: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    """Percent from the left and from the bottom of each point, equal distances being equal."""
    sides = [Axis.of([point["place"][k] for point in points]) for k in (0, 1)]
    middle = [(side.least + side.most) / 2 for side in sides]
    widths = [side.most - side.least for side in sides]
    half = max(widths[0], widths[1] * MAP_SHAPE) / 2 or 1.0
    across = Axis(middle[0] - half, middle[0] + half)
    up = Axis(middle[1] - half / MAP_SHAPE, middle[1] + half / MAP_SHAPE)
    return [(across.at(p["place"][0]), up.at(p["place"][1])) for p in points]


@dataclass(frozen=True)
class Scatter:
    """Prompts by variety, from none on the left, and similarity, upward."""

    places: dict[str, dict[int, tuple[float, float]]]
    """By role: number of the prompt to percent from the left and from the bottom."""
    alike: float | None
    """Where repeating begins."""
    across: Axis
    up: Axis


def prompt_scatter(
    rows: dict[str, list[dict[str, Any]]], alike_below: float | None
) -> Scatter | None:
    """Place the prompts of each role that have both numbers; None if none of "clips" has."""
    both = {
        role: {r["number"]: r for r in own if None not in (r["diversity"], r["similarity"])}
        for role, own in rows.items()
    }
    if not both["clips"]:
        return None
    every = [row for own in both.values() for row in own.values()]
    across = Axis(0.0, max([row["diversity"] for row in every] + [alike_below or 0.0]))
    up = Axis.of([row["similarity"] for row in every])
    places = {
        role: {n: (across.at(row["diversity"]), up.at(row["similarity"])) for n, row in own.items()}
        for role, own in both.items()
    }
    return Scatter(places, None if alike_below is None else across.at(alike_below), across, up)
