"""report.html: one file with scores in words, plots and players; nothing is loaded from afar."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dmm.pages import template

from ..metric_table import HEADLINE, METRICS
from ..numbers import number, share
from ..sets import ClipSet
from .neighbours import COMPARED, Copies
from .players import Player, Players, spread_out
from .plots import Axis, map_places, number_line, prompt_scatter
from .words import AIMS, DETAILS

TEMPLATE = Path(__file__).with_name("templates") / "report.html.jinja"
PAGE_BYTES = 14_000_000
"""Further clips are not played once sound and pictures would exceed this: it can be mailed."""
SHOWN_REAL = 4
ODD = ("far", "off_prompt", "twins")
"""Kinds of outliers."""


@dataclass(frozen=True)
class Room:
    """Rows of players under a heading; a row holds a pair, or one clip."""

    title: str
    rows: list[list[Player]]
    total: int
    """Rows there would be if all were shown."""


def render_page(
    report: dict[str, Any],
    sets: dict[str, ClipSet],
    copies: Copies | None,
    pairs: Sequence[tuple[int, int]],
    shown: int,
) -> str:
    """The page's HTML; everything a file or a prompt says is escaped."""
    players = Players(sets | ({"train": copies.train} if copies else {}), PAGE_BYTES)
    rooms = listening_rooms(sets, pairs, shown, players)
    copied = _beside(copied_clips(report, shown), players, copied_pair)
    odd = {kind: _beside(report["outliers"][kind], players, odd_clips) for kind in ODD}
    points = report["map"]["points"]
    playable = [players.player(point["set"], point["id"]) for point in points]
    before = report["baseline"]
    prompts = {"clips": report["prompts"]["rows"], "before": before["prompts"] if before else []}
    return template(TEMPLATE, num=num, percent=percent).render(
        report=report,
        metrics=METRICS,
        headline=HEADLINE,
        aims=AIMS,
        details=DETAILS,
        labels=_labels(report),
        lines={
            name: number_line(score, before and before["scores"][name])
            for name, score in report["scores"].items()
        },
        rooms=rooms,
        copied=copied,
        copied_axis=_copied_axis(report),
        odd=odd,
        points=list(zip(points, map_places(points), playable, strict=True)),
        scatter=prompt_scatter(prompts, report["prompts"]["alike_below"]),
        before_prompts={row["prompt"]: row for row in prompts["before"]},
        clips_of=_clips_of(report["clips"], players),
        known=_known(report),
        media=players.json(),
    )


def num(value: int | float) -> Markup:
    """A number for people, with its whole value for programs."""
    return Markup('<data value="{}">{}</data>').format(repr(value), number(value))


def percent(value: float) -> Markup:
    """A share in percent, with its whole value for programs."""
    return Markup('<data value="{}">{}</data>').format(repr(value), share(value))


def listening_rooms(
    sets: dict[str, ClipSet], pairs: Sequence[tuple[int, int]], shown: int, players: Players
) -> list[Room]:
    """Pairs of equal prompt and seed, or each set for itself; then real clips."""
    ids = {role: own.ids for role, own in sets.items()}
    wanted: list[tuple[str, list[list[tuple[str, str]]], int]] = []
    if pairs:
        rows = [[("before", ids["before"][i]), ("clips", ids["clips"][j])] for i, j in pairs]
        wanted.append(("Before and after: same prompt, same seed", rows, shown))
    else:
        alone = {"before": "Before", "clips": "After" if "before" in ids else "The clips"}
        for role in (role for role in alone if role in ids):
            wanted.append((alone[role], [[(role, clip)] for clip in ids[role]], shown))
    wanted.append(
        ("Real clips, the target", [[("real", clip)] for clip in ids["real"]], SHOWN_REAL)
    )
    return [
        Room(title, [row for x in spread_out(rows, limit) if (row := players.row(x))], len(rows))
        for title, rows, limit in wanted
    ]


def copied_clips(report: dict[str, Any], shown: int) -> list[dict[str, Any]]:
    """The clips nearest to a training clip, of those that are flagged at least ``shown``."""
    found = (report["copies"] or {"clips": []})["clips"]
    return found[: max(COMPARED, sum(clip["flagged"] for clip in found[:shown]))]


def copied_pair(clip: dict[str, Any]) -> list[tuple[str, str]]:
    """A clip and the training clip nearest to it."""
    return [("clips", clip["id"]), ("train", clip["nearest"])]


def odd_clips(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The clips that an outlier's entry is about."""
    return [("clips", clip) for clip in found["ids"]]


def _beside(
    found: Sequence[dict[str, Any]],
    players: Players,
    wanted: Callable[[dict[str, Any]], list[tuple[str, str]]],
) -> list[tuple[dict[str, Any], list[Player]]]:
    """Each finding with the players of its clips, where the page has room for them."""
    rows = ((one, players.row(wanted(one))) for one in found)
    return [(one, row) for one, row in rows if row]


def _labels(report: dict[str, Any]) -> dict[str, str]:
    ours = "after" if report["baseline"] else "clip"
    return {"clips": ours, "before": "before", "real": "real", "train": "trained on"}


def _copied_axis(report: dict[str, Any]) -> Axis | None:
    found = report["copies"]
    return found and Axis.of([*found["held_out"], *(clip["cosine"] for clip in found["clips"])])


def _clips_of(clips: Sequence[dict[str, Any]], players: Players) -> dict[str, list[Player]]:
    """Prompt to the players of its clips, of those that the page has."""
    found: dict[str, list[Player]] = {}
    for clip in clips:
        if clip["prompt"] and f"clips/{clip['id']}" in players.store:
            player = players.player("clips", clip["id"])
            assert player
            found.setdefault(clip["prompt"], []).append(player)
    return found


def _known(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By player's key: the clip's row, and what judges heard in it."""
    rows = {"clips": report["clips"], "before": (report["baseline"] or {}).get("clips", [])}
    heard = (report["judged"] or {}).get("clips", {})
    return {
        f"{role}/{row['id']}": row | {"judged": heard.get(role, {}).get(row["id"])}
        for role, own in rows.items()
        for row in own
    }
