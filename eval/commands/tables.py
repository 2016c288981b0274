"""Print scores, changes and possible copies as tables on standard output."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..metric_table import METRICS
from ..number_format import format_number
from ..report.neighbours import COMPARED
from ..report.sentences import AIMS, DETAILS, format_value
from .options import SharedOptions

CONSOLE_WIDTH = 120
"""Columns if the output is no terminal."""


def print_scores(options: SharedOptions, content: dict[str, Any]) -> None:
    """Print scores with intervals and the real clips' scores, then sets, embedder and cautions."""
    table = Table(box=None, pad_edge=False)
    table.add_column("score", no_wrap=True)
    for name in ("value", "95 % interval", "real clips", "excess"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for name, score in content["scores"].items():
        table.add_row(METRICS[name].title, *_score_cells(name, score), _notes_text(name, score))
    print_tables(table)
    print_sets_and_cautions(options, content)


def print_changes(options: SharedOptions, content: dict[str, Any]) -> None:
    """Print the changes from A to B with intervals."""
    table = Table(box=None, pad_edge=False)
    table.add_column("score", no_wrap=True)
    for name in ("A", "B", "change", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("B is")
    for name, change in content["moved"].items():
        numbers = (format_value(name, change[key]) for key in ("before", "after", "change"))
        interval = _interval_text(name, change["low"], change["high"])
        table.add_row(METRICS[name].title, *numbers, interval, _verdict_words(change))
    print_tables(table)
    print_sets_and_cautions(options, content)


def print_copies(options: SharedOptions, content: dict[str, Any]) -> None:
    """Print the clips nearest to a training clip, and how many are flagged."""
    table = Table(box=None, pad_edge=False)
    for name in ("clip", "nearest training clip"):
        table.add_column(name, overflow="fold")
    for name in ("cosine", "images", ""):
        table.add_column(name, justify="right")
    for clip in content["clips"][: max(COMPARED, content["flagged"])]:
        numbers = (format_number(clip[key]) for key in ("cosine", "likeness"))
        flag = "flagged" if clip["flagged"] else ""
        table.add_row(escape(clip["id"]), escape(clip["nearest"]), *numbers, flag)
    print_tables(table)
    print(
        f"{content['flagged']} of {content['sets']['clips']['n']} clips are nearer to a training "
        f"clip than any held-out clip ({format_number(content['threshold'])}); "
        f"{format_number(content['expected'])} are expected by chance. An image correlation near 1 "
        "means the same recording; that of the nearest held-out clip is "
        f"{format_number(content['real_likeness'])}"
    )
    if content["caution"]:
        print(f"- {content['caution']}")
    print_sets_and_cautions(options, content)


def print_tables(*tables: Table) -> None:
    """Print tables as wide as the terminal, or 120 columns wide if there is none."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=CONSOLE_WIDTH)
    for table in tables:
        console.print(table)


def print_sets_and_cautions(options: SharedOptions, content: dict[str, Any]) -> None:
    """Print the sets, the embedder and all cautions."""
    sets = "; ".join(
        f"{role.replace('_', ' ')}: {clip_set['folder']}, {clip_set['n']} clips"
        for role, clip_set in content["sets"].items()
    )
    by = f"{options.embedder.name}{options.why}"
    print(f"{sets}; embedded by {by}, not comparable with other embedders")
    for caution in content.get("cautions", []):
        print(f"- {caution['says']}")


def _score_cells(name: str, score: dict[str, Any]) -> list[str]:
    """Value, interval, real clips' value and excess of a score."""
    if score["value"] is None:
        return ["none", "", "", ""]
    keys = ("real", "excess")
    rest = ("" if score[key] is None else format_value(name, score[key]) for key in keys)
    interval = _interval_text(name, score["low"], score["high"])
    return [format_value(name, score["value"]), interval, *rest]


def _interval_text(name: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f"{format_value(name, low)} to {format_value(name, high)}"


def _verdict_words(change: dict[str, Any]) -> str:
    """Whether a change is better, and significant, in words."""
    if change["change"] == 0:
        return "the same"
    direction = {True: "better", False: "worse", None: "different"}[change["better"]]
    doubt = {True: "", False: ", not significant", None: ", no interval"}
    return direction + doubt[change["sure"]]


def _notes_text(name: str, score: dict[str, Any]) -> str:
    """Direction and details of a score, its band, and a note if it is of too few clips."""
    if score["value"] is None:
        return str(score["why_not"]).split(": ")[0]
    details = score["detail"].items()
    more = [f"{DETAILS[key]} {format_value(name, x)}" for key, x in details if x is not None]
    if score["band"]:
        more.append(f"in the first model’s bands: {score['band']['says'] or 'between two'}")
    if score["caution"]:
        more.append(f"rough: {score['n']} of {score['trusted_from']} clips")
    return "; ".join([AIMS[METRICS[name].aim], *more])
