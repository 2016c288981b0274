"""Compose ATTRIBUTION.md: artist, title and licence of every track in a dataset."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..dataset import Row

RESTRICTIONS = {
    "no commercial use": re.compile(r"\bnc\b|non-?\s?commercial", re.IGNORECASE),
    "no derivatives": re.compile(r"\bnd\b|no-?\s?deriv", re.IGNORECASE),
}
"""Uses that a licence may forbid, and how its name or address shows it."""
MARKDOWN_CHARACTERS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")
"""Characters that have a meaning in Markdown."""
HEAD = """\
# Attribution

The clips of this dataset were cut from the tracks below, and what is trained on them may be bound
by their licences. This file was made from `manifest.parquet`; it is no legal advice.
"""
UNKNOWN = """\
## Unknown licence ({n})

**Warning:** nothing says that these tracks may be copied, trained on or passed on. Find out, or
leave them out: `dmm data build --licence` names the licence of tracks that bear none.
"""


def attribution_markdown(rows: Sequence[Row]) -> str:
    """Compose Markdown that names every track once, grouped by licence.

    Tracks without a licence come first, with a warning, then licences that forbid commercial use or
    derivatives, with a note, then all others. The order of the rows does not matter.
    """
    groups: dict[str | None, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        groups[(row["licence"] or "").strip() or None].setdefault(row["track"], row)
    parts = [HEAD]
    for licence in sorted(groups, key=_sort_key):
        tracks = groups[licence].values()
        parts.append(f"{_licence_heading(licence, len(tracks))}\n{_track_lines(tracks)}")
    return "\n".join(parts)


def forbidden_uses(licence: str) -> list[str]:
    """Uses that a licence forbids, as far as its name or address shows.

    >>> forbidden_uses("https://creativecommons.org/licenses/by-nc-nd/4.0/")
    ['no commercial use', 'no derivatives']
    """
    return [words for words, pattern in RESTRICTIONS.items() if pattern.search(licence)]


def _sort_key(licence: str | None) -> tuple[int, str, str]:
    if licence is None:
        return 0, "", ""
    return (1 if forbidden_uses(licence) else 2), licence.casefold(), licence


def _licence_heading(licence: str | None, n: int) -> str:
    """Heading of the tracks of one licence, with what it forbids."""
    if licence is None:
        return UNKNOWN.format(n=n)
    forbidden = forbidden_uses(licence)
    flag = f"\n**Limited:** {' and '.join(forbidden)}.\n" if forbidden else ""
    return f"## {_link_or_text(licence)} ({n})\n{flag}"


def _track_lines(tracks: Iterable[Row]) -> str:
    """One line per track, sorted by artist and title."""

    def name(row: Row) -> tuple[str, ...]:
        artist, title = row["artist"] or "", row["title"] or ""
        return artist.casefold(), title.casefold(), row["track"]

    return "".join(f"- {_track_line(row)}\n" for row in sorted(tracks, key=name))


def _track_line(row: Row) -> str:
    """Title, artist, source, address and licence of a track."""
    title = (
        f"“{_escape_markdown(row['title'])}”"
        if row["title"]
        else f"untitled ({_escape_markdown(row['track'])})"
    )
    parts = [
        f"{title} by {_escape_markdown(row['artist'])}"
        if row["artist"]
        else f"{title}, artist unknown",
        f"source {_escape_markdown(row['source'])}",
        *([_link_or_text(row["url"])] if row["url"] else []),
        _escape_markdown(row["licence"] or "licence unknown"),
    ]
    return " · ".join(parts)


def _link_or_text(text: str) -> str:
    """Format a web address as a link, anything else as plain text."""
    text = " ".join(text.split())
    return f"<{text}>" if re.fullmatch(r"https?://[^\s<>]+", text) else _escape_markdown(text)


def _escape_markdown(text: str) -> str:
    return MARKDOWN_CHARACTERS.sub(r"\\\1", " ".join(text.split()))
