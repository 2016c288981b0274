"""Scores in words, for a reader who wants to know what changed before seeing a table."""

from typing import Any

from .metrics import METRICS


def headline(report: dict[str, Any]) -> str:
    """One sentence: how many scores moved toward real clips, or what was scored against what."""
    if not report["baseline"]:
        return f"{report['n']} clips beside {report['n_reference']} real ones"
    moves = report["baseline"]["moved"].values()
    toward = [move for move in moves if move["toward"]]
    unsure = sum(move["sure"] is False for move in toward)
    some = {len(moves): "All", 0: "None of the"}.get(len(toward), f"{len(toward)} of")
    doubt = f", but {unsure} not surely" if unsure else ""
    return f"{some} {len(moves)} scores moved toward the real clips{doubt}"


def sentence(name: str, report: dict[str, Any]) -> str:
    """What one metric says, with its numbers and how sure they are."""
    score, title = report["metrics"][name], METRICS[name].short
    real = _real(name, score)
    if not report["baseline"]:
        return f"{title} is {number(score['value'])}{_interval(score)}{real}."
    move = report["baseline"]["moved"][name]
    if move["change"] == 0:
        return f"{title} stayed at {number(move['after'])}{real}."
    verb = "fell" if move["change"] < 0 else "rose"
    way = "toward" if move["toward"] else "away from"
    return (
        f"{title} {verb} from {number(move['before'])} to {number(move['after'])}, {way} the real "
        f"clips{_sureness(move)}{real}."
    )


def number(value: float) -> str:
    """Three significant digits, at most three decimals, with a true minus sign.

    >>> number(-0.04567), number(12.345), number(1234.5)
    ('−0.046', '12.3', '1234')
    """
    decimals = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _interval(score: dict[str, Any]) -> str:
    if score["low"] is None:
        return ""
    return f" (95 % interval {number(score['low'])} to {number(score['high'])})"


def _sureness(move: dict[str, Any]) -> str:
    if move["low"] is None:
        return " (no interval can be given)"
    span = f"change {number(move['low'])} to {number(move['high'])} with 95 % confidence"
    return f" ({span})" if move["sure"] else f", but not surely ({span})"


def _real(name: str, score: dict[str, Any]) -> str:
    if score["floor"] is None:
        return ""
    if METRICS[name].own:
        return f"; among the real clips it is {number(score['floor'])}"
    return f"; {score['floor_n']} real clips in their place score {number(score['floor'])}"
