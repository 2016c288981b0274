"""The headline of a report: how the main scores changed, unless the clips are too few to say."""

from collections.abc import Mapping
from typing import Any

from ..metric_table import HEADLINE
from ..trust import VERDICT_CLIPS, VERDICT_TRACKS

Moved = Mapping[str, Mapping[str, Any]]
"""Changes of scores by metric, as in report.json."""


def headline(report: dict[str, Any]) -> str:
    """One sentence: how many main scores improved, or why that cannot be said."""
    sets, name = report["sets"], report["embedder"]["name"]
    real = sets["real"]
    lacking = _missing_for_verdict(report)
    if not report["baseline"]:
        tracks = f"{real['tracks']} track{'s' if real['tracks'] != 1 else ''}"
        few = f": too few for a verdict ({'; '.join(lacking)})" if lacking else ""
        clips = f"{sets['clips']['n']} clips compared with {real['n']} real ones of {tracks}"
        return f"{clips} by {name}{few}"
    if lacking:
        return f"Not enough to say by {name}: {'; '.join(lacking)}"
    moved = {name: _judged_main_changes(report["baseline"]["moved"], report["void"])}
    if second := report["second"]:
        moved[second["embedder"]["name"]] = _judged_main_changes(second["moved"], ())
    what = f" main scores of {sets['clips']['n']} clips moved the right way"
    counts = ", ".join(
        f"{_improved_of_all(own)}{'' if i else what} by {by}{_insignificant_note(own)}"
        for i, (by, own) in enumerate(moved.items())
    )
    conflicts = _contradicting_scores(*moved.values())
    disagree = f"{' and '.join(moved)} disagree on {' and '.join(conflicts)}: "
    return f"{disagree if conflicts else ''}{counts}"


def _missing_for_verdict(report: dict[str, Any]) -> list[str]:
    """Reasons against a verdict: too few clips or tracks, or an unsuitable embedder."""
    n, tracks = report["sets"]["clips"]["n"], report["sets"]["real"]["tracks"]
    lacking = []
    if n < VERDICT_CLIPS:
        lacking.append(f"{n} clips, and {VERDICT_CLIPS} are needed")
    if tracks < VERDICT_TRACKS:
        of = "1 track" if tracks == 1 else f"{tracks} tracks"
        lacking.append(f"real clips of {of}, and {VERDICT_TRACKS} are needed")
    if set(HEADLINE) <= set(report["void"]):
        lacking.append("the embedder does not know this kind of music")
    return lacking


def _judged_main_changes(moved: Moved, void: Any) -> Moved:
    """Changes of the main scores that are known to be better or worse."""
    return {
        name: moved[name]
        for name in HEADLINE
        if name in moved and name not in void and moved[name]["better"] is not None
    }


def _improved_of_all(moved: Moved) -> str:
    return f"{sum(change['better'] for change in moved.values())} of {len(moved)}"


def _insignificant_note(moved: Moved) -> str:
    unsure = sum(change["better"] and change["sure"] is False for change in moved.values())
    return f" ({unsure} not significantly)" if unsure else ""


def _contradicting_scores(first: Moved, second: Moved | None = None) -> list[str]:
    """Main scores that improved by one embedder and became worse by the other.

    A change that is not significant contradicts nothing.
    """
    return [
        SHORT[name]
        for name, change in first.items()
        if second
        and name in second
        and change["better"] != second[name]["better"]
        and False not in (change["sure"], second[name]["sure"])
    ]


SHORT = {"diversity": "diversity", "fad": "FAD", "cosine": "the cosine to real clips"}
"""Main scores that every embedder has, inside a sentence."""
