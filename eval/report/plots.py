"""Positions in the page's plots, in percent of their width and height."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MARGIN = 5.0
MAP_SHAPE = 1.6
"""Width divided by height of the map; both directions have the same scale."""


@dataclass(frozen=True)
class Axis:
    """Linear axis from ``MARGIN`` to 100 - ``MARGIN`` percent."""

    least: float
    most: float

    @classmethod
    def spanning(cls, values: Sequence[float]) -> "Axis":
        """An axis from the least to the greatest value."""
        return cls(min(values), max(values))

    def at(self, value: float) -> float:
        """Position of a value in percent.

        >>> Axis(0.0, 2.0).at(1.0)
        50.0
        """
        width = (self.most - self.least) or 1.0
        return round(MARGIN + (100 - 2 * MARGIN) * (value - self.least) / width, 2)

    def span(self, low: float | None, high: float | None) -> tuple[float, float] | None:
        """Start and length of an interval in percent; None without an interval."""
        if low is None or high is None:
            return None
        return self.at(low), round(self.at(high) - self.at(low), 2)


@dataclass(frozen=True)
class NumberLine:
    """Positions on a metric's number line; None for parts that do not exist."""

    value: float
    interval: tuple[float, float] | None
    before: float | None
    real: float | None
    real_interval: tuple[float, float] | None
    chance: float | None
    axis: Axis


def number_line(score: dict[str, Any], before: dict[str, Any] | None) -> NumberLine | None:
    """Number line of a score, its baseline and the real clips' score; None without a value."""
    if score["value"] is None:
        return None
    chance = score["detail"].get("shuffled_mean", score["detail"].get("chance"))
    old = before["value"] if before else None
    values = [score[key] for key in ("value", "low", "high", "real", "real_low", "real_high")]
    axis = Axis.spanning([x for x in [*values, chance, old] if x is not None])

    def at(value: float | None) -> float | None:
        return None if value is None else axis.at(value)

    return NumberLine(
        axis.at(score["value"]),
        axis.span(score["low"], score["high"]),
        at(old),
        at(score["real"]),
        axis.span(score["real_low"], score["real_high"]),
        at(chance),
        axis,
    )


def map_positions(points: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    """Position of each point from the left and from the bottom, with the same scale for both."""
    sides = [Axis.spanning([point["place"][k] for point in points]) for k in (0, 1)]
    middle = [(side.least + side.most) / 2 for side in sides]
    widths = [side.most - side.least for side in sides]
    half = max(widths[0], widths[1] * MAP_SHAPE) / 2 or 1.0
    across = Axis(middle[0] - half, middle[0] + half)
    up = Axis(middle[1] - half / MAP_SHAPE, middle[1] + half / MAP_SHAPE)
    return [(across.at(p["place"][0]), up.at(p["place"][1])) for p in points]


@dataclass(frozen=True)
class PromptScatter:
    """Positions of prompts: variety from left to right, similarity upward."""

    places: dict[str, dict[int, tuple[float, float]]]
    """By role, then by number of the prompt: position from the left and from the bottom."""
    alike: float | None
    """Position below which clips of a prompt repeat one another."""
    across: Axis
    up: Axis


def prompt_scatter(
    rows: dict[str, list[dict[str, Any]]], alike_below: float | None
) -> PromptScatter | None:
    """Positions of prompts that have both numbers; None if no prompt of "clips" has."""
    both = {
        role: {r["number"]: r for r in own if None not in (r["diversity"], r["similarity"])}
        for role, own in rows.items()
    }
    if not both["clips"]:
        return None
    every = [row for own in both.values() for row in own.values()]
    across = Axis(0.0, max([row["diversity"] for row in every] + [alike_below or 0.0]))
    up = Axis.spanning([row["similarity"] for row in every])
    places = {
        role: {n: (across.at(row["diversity"]), up.at(row["similarity"])) for n, row in own.items()}
        for role, own in both.items()
    }
    return PromptScatter(
        places, None if alike_below is None else across.at(alike_below), across, up
    )
