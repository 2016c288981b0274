"""Sentences that state a report's scores and their changes."""

from typing import Any

from ..metric_table import METRICS
from ..number_format import format_number, format_percent

AIMS = {
    "low": "lower is closer",
    "high": "higher is better",
    "real": "closer to the real clips is better",
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
"""Texts for the further numbers of a metric, by ``MetricValue.detail``."""


def metric_sentence(name: str, report: dict[str, Any]) -> str:
    """One sentence on a metric: value or change, interval, and the real clips' value."""
    score, metric = report["scores"][name], METRICS[name]
    if score["value"] is None:
        return f"{metric.short} cannot be computed: {score['why_not']}."
    real = _real_clips_clause(name, score)
    change = (report["baseline"] or {"moved": {}})["moved"].get(name)
    if not change:
        value = format_value(name, score["value"])
        return f"{metric.short} is {value}{_interval_clause(name, score)}{real}."
    before, after = (format_value(name, change[key]) for key in ("before", "after"))
    if change["change"] == 0:
        return f"{metric.short} stayed at {after}{real}."
    verb = "fell" if change["change"] < 0 else "rose"
    way = {True: ", the right way", False: ", the wrong way", None: ""}[change["better"]]
    if name in report["void"]:
        way = ", which means nothing here"
    clause = _significance_clause(name, change)
    return f"{metric.short} {verb} from {before} to {after}{way}{clause}{real}."


def format_value(name: str, value: int | float) -> str:
    """A metric's value as a number, or in percent if it is a share."""
    return format_percent(value) if METRICS[name].is_share else format_number(value)


def _interval_clause(name: str, score: dict[str, Any]) -> str:
    if score["low"] is None:
        return ""
    low, high = (format_value(name, score[key]) for key in ("low", "high"))
    return f" (95 % interval {low} to {high})"


def _significance_clause(name: str, change: dict[str, Any]) -> str:
    if change["low"] is None:
        return " (no interval can be given)"
    low, high = (format_value(name, change[key]) for key in ("low", "high"))
    interval = f"change {low} to {high} with 95 % confidence"
    return f" ({interval})" if change["sure"] else f", but not significantly ({interval})"


def _real_clips_clause(name: str, score: dict[str, Any]) -> str:
    if score["real"] is None:
        return ""
    real = format_value(name, score["real"])
    if METRICS[name].aim == "low":
        return _floor_clause(name, score)
    if name in ("clap_score", "retrieval"):
        return f"; real clips with their captions reach {real}"
    if name == "coverage":
        return f"; as many other real clips would reach {real}"
    return f"; among the real clips it is {real}"


def _floor_clause(name: str, score: dict[str, Any]) -> str:
    """The real clips' distance, after that of as few clips if there are not enough real ones."""
    count, real = score["real_n"], format_value(name, score["real"])
    if count == score["n"]:
        return f"; {count} real clips in their place score {real}"
    few = format_value(name, score["real"] + score["excess"])
    return f"; {count} of the clips score {few}, {count} real clips in their place {real}"
