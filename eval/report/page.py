"""Render report.html: one self-contained file with sentences, plots and players."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dmm.pages import template

from ..metric_table import HEADLINE, METRICS
from ..number_format import format_number, format_percent
from ..sets import ClipSet
from .neighbours import COMPARED, CopySearch
from .players import Player, Players, evenly_spaced
from .plots import Axis, map_positions, number_line, prompt_scatter
from .sentences import AIMS, DETAILS

TEMPLATE = Path(__file__).with_name("templates") / "report.html.jinja"
PAGE_BYTES = 14_000_000
"""Largest number of bytes of audio and images in the page; further clips have no player."""
SHOWN_REAL = 4
OUTLIERS = ("far", "off_prompt", "twins")
"""Kinds of outliers."""


@dataclass(frozen=True)
class PlayerSection:
    """Rows of players under a heading; a row holds one clip or a pair."""

    title: str
    rows: list[list[Player]]
    total: int
    """Number of rows if all were shown."""


def render_page(
    report: dict[str, Any],
    sets: dict[str, ClipSet],
    copies: CopySearch | None,
    pairs: Sequence[tuple[int, int]],
    shown: int,
) -> str:
    """HTML of the page; texts from files and prompts are escaped."""
    players = Players(sets | ({"train": copies.train} if copies else {}), PAGE_BYTES)
    sections = player_sections(sets, pairs, shown, players)
    copies_shown = _entries_with_players(shown_copies(report, shown), players, copy_and_original)
    outliers = {
        kind: _entries_with_players(report["outliers"][kind], players, outlier_clips)
        for kind in OUTLIERS
    }
    points = report["map"]["points"]
    playable = [players.add_clip(point["set"], point["id"]) for point in points]
    before = report["baseline"]
    prompts = {"clips": report["prompts"]["rows"], "before": before["prompts"] if before else []}
    return template(TEMPLATE, num=number_element, percent=percent_element).render(
        report=report,
        metrics=METRICS,
        headline=HEADLINE,
        aims=AIMS,
        details=DETAILS,
        labels=_role_labels(report),
        lines={
            name: number_line(score, before and before["scores"][name])
            for name, score in report["scores"].items()
        },
        sections=sections,
        copies_shown=copies_shown,
        copies_axis=_cosine_axis_of_copies(report),
        outliers=outliers,
        points=list(zip(points, map_positions(points), playable, strict=True)),
        scatter=prompt_scatter(prompts, report["prompts"]["alike_below"]),
        before_prompts={row["prompt"]: row for row in prompts["before"]},
        clips_of=_players_by_prompt(report["clips"], players),
        rows=_rows_by_player(report),
        media=players.data_uris(),
    )


def number_element(value: int | float) -> Markup:
    """A formatted number, with its full value in a ``data`` element."""
    return Markup('<data value="{}">{}</data>').format(repr(value), format_number(value))


def percent_element(value: float) -> Markup:
    """A share in percent, with its full value in a ``data`` element."""
    return Markup('<data value="{}">{}</data>').format(repr(value), format_percent(value))


def player_sections(
    sets: dict[str, ClipSet], pairs: Sequence[tuple[int, int]], shown: int, players: Players
) -> list[PlayerSection]:
    """A section of pairs with equal prompt and seed, or one for each set; then real clips."""
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
        PlayerSection(
            title,
            [row for x in evenly_spaced(rows, limit) if (row := players.add_row(x))],
            len(rows),
        )
        for title, rows, limit in wanted
    ]


def shown_copies(report: dict[str, Any], shown: int) -> list[dict[str, Any]]:
    """The clips nearest to a training clip: six, or up to ``shown`` if more are flagged."""
    found = (report["copies"] or {"clips": []})["clips"]
    return found[: max(COMPARED, sum(clip["flagged"] for clip in found[:shown]))]


def copy_and_original(clip: dict[str, Any]) -> list[tuple[str, str]]:
    """A clip and its nearest training clip, by role and id."""
    return [("clips", clip["id"]), ("train", clip["nearest"])]


def outlier_clips(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The clips of an outlier's entry, by role and id."""
    return [("clips", clip) for clip in found["ids"]]


def _entries_with_players(
    found: Sequence[dict[str, Any]],
    players: Players,
    wanted: Callable[[dict[str, Any]], list[tuple[str, str]]],
) -> list[tuple[dict[str, Any], list[Player]]]:
    """Each entry with the players of its clips, if the page has room for them."""
    rows = ((one, players.add_row(wanted(one))) for one in found)
    return [(one, row) for one, row in rows if row]


def _role_labels(report: dict[str, Any]) -> dict[str, str]:
    ours = "after" if report["baseline"] else "clip"
    return {"clips": ours, "before": "before", "real": "real", "train": "trained on"}


def _cosine_axis_of_copies(report: dict[str, Any]) -> Axis | None:
    found = report["copies"]
    return found and Axis.spanning(
        [*found["held_out"], *(clip["cosine"] for clip in found["clips"])]
    )


def _players_by_prompt(
    clips: Sequence[dict[str, Any]], players: Players
) -> dict[str, list[Player]]:
    """Players of each prompt's clips that the page holds."""
    found: dict[str, list[Player]] = {}
    for clip in clips:
        if clip["prompt"] and f"clips/{clip['id']}" in players.store:
            player = players.add_clip("clips", clip["id"])
            assert player
            found.setdefault(clip["prompt"], []).append(player)
    return found


def _rows_by_player(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The clip's row and its judged attributes, by the player's key."""
    rows = {"clips": report["clips"], "before": (report["baseline"] or {}).get("clips", [])}
    judged = (report["judged"] or {}).get("clips", {})
    return {
        f"{role}/{row['id']}": row | {"judged": judged.get(role, {}).get(row["id"])}
        for role, own in rows.items()
        for row in own
    }
