"""Read MTG-Jamendo's tables of tags, names and licences, by track number.

The formats are those of https://github.com/MTG/mtg-jamendo-dataset and of the Song Describer
record, which includes the lines of its tracks. Tables are tab-separated, with or without a header:

    track_0000214  artist_000014  album_000031  14/214.mp3  124.6  genre---punkrock  …  (tags)
    track_0000214  artist_000014  album_000031  TITLE  ARTIST  ALBUM  DATE  URL         (names)

and ``audio_licenses.txt`` has for each track its path, a credit with a link, and a licence's link.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from dmm.errors import InputError
from dmm.files import read_text

TRACK = re.compile(r"track_0*(\d+)")
PATH = re.compile(r"(?:\S*/)?(\d+)(?:\.2min)?\.(?:mp3|flac|wav|ogg)", re.IGNORECASE)
PAGE = re.compile(r"https?://(?:www\.)?jamendo\.com/(?:\w\w/)?track/(\d+)\S*")
LINK = re.compile(r"https?://\S+")
LICENCE_WORDS = re.compile(r"licen[cs]e|creativecommons|artlibre", re.IGNORECASE)


@dataclass(frozen=True)
class TrackNames:
    """Title, artist, album and web page of a track."""

    title: str
    artist: str
    album: str
    url: str


def read_tag_table(path: Path) -> dict[int, tuple[str, ...]]:
    """Map tracks to their tags, such as ``instrument---voice``; InputError for a wrong table."""
    rows = {track: cells[5:] for track, cells in _cells_by_track(path).items()}
    if not rows:
        raise InputError(f"{path}: no line begins with track_NUMBER; give MTG-Jamendo's .tsv")
    return {track: tuple(tag for tag in tags if tag.strip()) for track, tags in rows.items()}


def read_name_table(path: Path) -> dict[int, TrackNames]:
    """Map tracks to their names; an artist listed under several names gets the first one."""
    rows = {track: cells for track, cells in _cells_by_track(path).items() if len(cells) >= 8}
    artists: dict[str, str] = {}
    for cells in rows.values():
        artists.setdefault(cells[1], cells[4])
    return {
        track: TrackNames(title=cells[3], artist=artists[cells[1]], album=cells[5], url=cells[7])
        for track, cells in rows.items()
    }


def _cells_by_track(path: Path) -> dict[int, list[str]]:
    lines = [line.split("\t") for line in read_text(path).splitlines()]
    return {int(found[1]): cells for cells in lines if (found := TRACK.fullmatch(cells[0].strip()))}


def read_licences_and_pages(path: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Map tracks to the links of their licences, and to their web pages.

    A line that begins with a track's path or ``track_NUMBER`` begins the entry of a track, which
    may have one line or several.
    """
    licences: dict[int, str] = {}
    pages: dict[int, str] = {}
    track = None
    for line in read_text(path).splitlines():
        first = line.split(maxsplit=1)[0] if line.split() else ""
        page = PAGE.search(line)
        found = PATH.fullmatch(first) or TRACK.fullmatch(first) or (page if track is None else None)
        track = int(found[1]) if found else track if first.strip("-") else None
        if track is None:
            continue
        if page:
            pages.setdefault(track, page[0])
        links = [link for link in LINK.findall(line) if not PAGE.match(link)]
        if links and LICENCE_WORDS.search(line):
            licences.setdefault(track, links[-1])
    return licences, pages
