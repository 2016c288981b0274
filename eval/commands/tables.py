"""Results for people: tables on standard output."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..metric_table import METRICS
from ..numbers import number
from ..report.neighbours import COMPARED
from ..report.words import AIMS, DETAILS, told
from .options import Ears

CONSOLE_WIDTH = 120
"""Where output is no terminal."""


def print_scores(ears: Ears, content: dict[str, Any]) -> None:
    """The scores with intervals and what real clips reach, then who heard what."""
    table = Table(box=None, pad_edge=False)
    table.add_column("score", no_wrap=True)
    for name in ("value", "95 % interval", "real clips", "excess"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for name, score in content["scores"].items():
        table.add_row(METRICS[name].title, *_cells(name, score), _notes(name, score))
    print_tables(table)
    print_origin(ears, content)


def print_moves(ears: Ears, content: dict[str, Any]) -> None:
    """What changed from A to B, and how surely."""
    table = Table(box=None, pad_edge=False)
    table.add_column("score", no_wrap=True)
    for name in ("A", "B", "change", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("B is")
    for name, move in content["moved"].items():
        figures = (told(name, move[key]) for key in ("before", "after", "change"))
        span = _span(name, move["low"], move["high"])
        table.add_row(METRICS[name].title, *figures, span, _verdict(move))
    print_tables(table)
    print_origin(ears, content)


def print_copies(ears: Ears, content: dict[str, Any]) -> None:
    """The clips nearest to a training clip, and how many of them are flagged."""
    table = Table(box=None, pad_edge=False)
    for name in ("clip", "nearest training clip"):
        table.add_column(name, overflow="fold")
    for name in ("cosine", "pictures", ""):
        table.add_column(name, justify="right")
    for clip in content["clips"][: max(COMPARED, content["flagged"])]:
        figures = (number(clip[key]) for key in ("cosine", "likeness"))
        flag = "flagged" if clip["flagged"] else ""
        table.add_row(escape(clip["id"]), escape(clip["nearest"]), *figures, flag)
    print_tables(table)
    print(
        f"{content['flagged']} of {content['sets']['clips']['n']} clips lie nearer to a training "
        f"clip than any held-out one ({number(content['threshold'])}); "
        f"{number(content['expected'])} would by chance. Pictures near 1 are the same recording; "
        f"that held-out pair has {number(content['real_likeness'])}"
    )
    if content["caution"]:
        print(f"- {content['caution']}")
    print_origin(ears, content)


def print_tables(*tables: Table) -> None:
    """As wide as the terminal; wide enough for all columns where there is none."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=CONSOLE_WIDTH)
    for table in tables:
        console.print(table)


def print_origin(ears: Ears, content: dict[str, Any]) -> None:
    """Which sets were heard by which embedder, and what to beware of."""
    sets = "; ".join(
        f"{role.replace('_', ' ')}: {own['folder']}, {own['n']} clips"
        for role, own in content["sets"].items()
    )
    chosen = " (no --weights given)" if ears.by_default and ears.embedder.name != "clap" else ""
    print(f"{sets}; heard by {ears.embedder.name}{chosen}, comparable with no other embedder")
    for caution in content.get("cautions", []):
        print(f"- {caution['says']}")


def _cells(name: str, score: dict[str, Any]) -> list[str]:
    if score["value"] is None:
        return ["none", "", "", ""]
    rest = ("" if score[key] is None else told(name, score[key]) for key in ("real", "excess"))
    return [told(name, score["value"]), _span(name, score["low"], score["high"]), *rest]


def _span(name: str, low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{told(name, low)} to {told(name, high)}"


def _verdict(move: dict[str, Any]) -> str:
    if move["change"] == 0:
        return "the same"
    way = {True: "better", False: "worse", None: "another"}[move["better"]]
    doubt = {True: "", False: ", not surely", None: ", no interval"}
    return way + doubt[move["sure"]]


def _notes(name: str, score: dict[str, Any]) -> str:
    """Direction, what belongs to the figure, and whether it is rough."""
    if score["value"] is None:
        return str(score["why_not"]).split(": ")[0]
    more = [f"{DETAILS[k]} {told(name, x)}" for k, x in score["detail"].items() if x is not None]
    if score["band"]:
        more.append(f"in the first model’s bands: {score['band']['says'] or 'between two'}")
    if score["caution"]:
        more.append(f"rough: {score['n']} of {score['trusted_from']} clips")
    return "; ".join([AIMS[METRICS[name].aim], *more])
