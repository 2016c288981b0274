"""report.html: one file with scores in words, pictures and players; nothing is loaded from afar."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmm.pages import template

from .clips import EmbeddedClips, clip_id
from .facts import origin
from .media import Media, media
from .metrics import METRICS
from .sets import Sets
from .words import number

TEMPLATE = Path(__file__).with_name("report.html.jinja")
SHOWN_REAL = 4
PAGE_BYTES = 14_000_000
"""Rows of players are left out once the media would exceed this."""


@dataclass(frozen=True)
class Player:
    """One clip to hear and see."""

    kind: str
    """"before", "after" or "real": its colour and label on the page."""
    id: str
    prompt: str | None
    seed: int | None
    note: str
    """Its own scores in words; empty for real clips."""
    media: Media


@dataclass(frozen=True)
class Section:
    """Rows of players under a heading; a row holds a pair, or one clip."""

    title: str
    rows: list[list[Player]]
    total: int
    """Rows there would be if all were shown."""


def sections(sets: Sets, report: dict[str, Any], shown: int) -> list[Section]:
    """What the page plays: real clips, then pairs of equal prompt and seed, or all for itself."""
    rooms: list[tuple[str, list[list[tuple[str, int]]], int]] = []
    if sets.pairs:
        rows = [[("before", i), ("after", j)] for i, j in sets.pairs]
        rooms.append(("Before and after: same prompt, same seed", rows, shown))
    else:
        if sets.baseline:
            rooms.append(("Before", [[("before", i)] for i in range(len(sets.baseline))], shown))
        title = "After" if sets.baseline else "The clips"
        rooms.append((title, [[("after", i)] for i in range(len(sets.clips))], shown))
    real = [[("real", i)] for i in range(len(sets.reference))]
    rooms.append(("Real clips, the target", real, SHOWN_REAL))

    budget, made = PAGE_BYTES, []
    for title, rows, limit in reversed(rooms):
        players = []
        for row in _spread(rows, limit):
            built = [_player(kind, index, sets, report) for kind, index in row]
            budget -= sum(player.media.size for player in built)
            if budget < 0 and players:
                break
            players.append(built)
        made.insert(0, Section(title, players, len(rows)))
    return made


def _spread(rows: Sequence[Any], limit: int) -> list[Any]:
    """At most ``limit`` evenly spaced rows, the first among them."""
    count = min(limit, len(rows))
    return [rows[i * len(rows) // count] for i in range(count)]


def _player(kind: str, index: int, sets: Sets, report: dict[str, Any]) -> Player:
    if kind == "real":
        path = sets.reference.files[index]
        own = origin(path)
        name = clip_id(path, sets.reference_folder)
        return Player(kind, name, own.prompt, own.seed, "", media(path))
    side: EmbeddedClips | None = sets.baseline if kind == "before" else sets.clips
    assert side is not None
    known = (report["baseline"] if kind == "before" else report)["per_clip"][index]
    note = (
        f"cosine to the real clips {number(known['cosine'])}; nearest is {known['nearest']} "
        f"at {number(known['nearest_cosine'])}"
    )
    content = media(side.files[index])
    return Player(kind, known["id"], known["prompt"], known["seed"], note, content)


@dataclass(frozen=True)
class Line:
    """A metric's number line, positions in percent of its width; None where there is no such."""

    after: float
    after_span: tuple[float, float] | None
    before: float | None
    floor: float | None
    floor_span: tuple[float, float] | None
    ends: tuple[str, str]


def number_line(name: str, report: dict[str, Any]) -> Line:
    """Place a metric's values on a line from the least to the greatest of them."""
    score = report["metrics"][name]
    old = report["baseline"] and report["baseline"]["metrics"][name]["value"]
    keys = ("value", "low", "high", "floor", "floor_low", "floor_high")
    values = [score[key] for key in keys if score[key] is not None] + ([] if old is None else [old])
    least, most = min(values), max(values)
    width = (most - least) or 1.0

    def at(value: float) -> float:
        return round(4 + 92 * (value - least) / width, 2)

    def span(low: float | None, high: float | None) -> tuple[float, float] | None:
        return None if low is None or high is None else (at(low), round(at(high) - at(low), 2))

    return Line(
        at(score["value"]),
        span(score["low"], score["high"]),
        None if old is None else at(old),
        None if score["floor"] is None else at(score["floor"]),
        span(score["floor_low"], score["floor_high"]),
        (number(least), number(most)),
    )


def render_page(report: dict[str, Any], rooms: Sequence[Section]) -> str:
    """The page's HTML; everything a file or a prompt says is escaped."""
    return template(TEMPLATE, number=number).render(
        report=report,
        sections=rooms,
        metrics=METRICS,
        lines={name: number_line(name, report) for name in report["metrics"]},
    )
