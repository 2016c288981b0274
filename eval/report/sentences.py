"""Scores in words, for a reader who wants to know what changed before seeing a table."""

from typing import Any

from ..metric_table import HEADLINE, METRICS
from ..numbers import number, share

AIMS = {
    "low": "lower is closer",
    "high": "higher is better",
    "real": "as the real clips is best",
}
DETAILS = {
    "sd": "standard deviation over clips",
    "shuffled_mean": "with other clips’ prompts",
    "gap": "gap to those",
    "p": "permutation p",
    "prompts": "prompts",
    "chance": "by chance",
    "total": "of clips of two prompts",
    "slope": "slope over 1/n",
    "r2": "share explained by the line",
}
"""What else belongs to a figure."""


def headline(report: dict[str, Any]) -> str:
    """One sentence: how many main scores moved the right way, or what was scored against what."""
    n, real = report["sets"]["clips"]["n"], report["sets"]["real"]["n"]
    if not report["baseline"]:
        return f"{n} clips beside {real} real ones"
    moves = [move for name in HEADLINE if (move := report["baseline"]["moved"].get(name))]
    better = [move for move in moves if move["better"]]
    unsure = sum(move["sure"] is False for move in better)
    some = {len(moves): "All", 0: "None of the"}.get(len(better), f"{len(better)} of")
    doubt = f", but {unsure} not surely" if unsure else ""
    return f"{some} {len(moves)} main scores moved the right way{doubt}"


def sentence(name: str, report: dict[str, Any]) -> str:
    """What one metric says, with its numbers and how sure they are."""
    score, metric = report["scores"][name], METRICS[name]
    if score["value"] is None:
        return f"{metric.short} cannot be given: {score['why_not']}."
    real = _real(name, score)
    move = (report["baseline"] or {"moved": {}})["moved"].get(name)
    if not move:
        return f"{metric.short} is {told(name, score['value'])}{_interval(name, score)}{real}."
    if move["change"] == 0:
        return f"{metric.short} stayed at {told(name, move['after'])}{real}."
    verb = "fell" if move["change"] < 0 else "rose"
    way = {True: ", the right way", False: ", the wrong way", None: ""}[move["better"]]
    return (
        f"{metric.short} {verb} from {told(name, move['before'])} to {told(name, move['after'])}"
        f"{way}{_sureness(name, move)}{real}."
    )


def told(name: str, value: int | float) -> str:
    """A metric's value as people read it."""
    return share(value) if METRICS[name].is_share else number(value)


def _interval(name: str, score: dict[str, Any]) -> str:
    if score["low"] is None:
        return ""
    return f" (95 % interval {told(name, score['low'])} to {told(name, score['high'])})"


def _sureness(name: str, move: dict[str, Any]) -> str:
    if move["low"] is None:
        return " (no interval can be given)"
    span = f"change {told(name, move['low'])} to {told(name, move['high'])} with 95 % confidence"
    return f" ({span})" if move["sure"] else f", but not surely ({span})"


def _real(name: str, score: dict[str, Any]) -> str:
    if score["real"] is None:
        return ""
    real = told(name, score["real"])
    if METRICS[name].aim == "low":
        return f"; {score['real_n']} real clips in their place score {real}"
    if name in ("clap_score", "retrieval"):
        return f"; real clips with their captions reach {real}"
    if name == "coverage":
        return f"; as many fresh real clips would reach {real}"
    return f"; among the real clips it is {real}"
