"""The command ``dmm data describe``."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..choices import CLAP, NANO_CLAP_WARNING


def describe(
    folder: Annotated[Path, typer.Argument(help="Folder of audio files.")],
    embedder: Annotated[
        str | None,
        typer.Option(
            help=f"Embedder that finds instruments, genre and mood: clap:FOLDER, {CLAP} "
            "(downloaded), or nano-clap, which knows only MiniMIDI's music.",
            show_default="none: tempo, key, loudness, brightness, density and voice only",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all facts, with their probabilities, as JSON.")
    ] = False,
) -> None:
    """Describe music by its sound: instruments, genre, mood, tempo, key, voice.

    Tracks are compared with each other, so give a whole collection. `dmm data build --describe`
    does the same, and makes the caption of tracks that have none.

    Example: dmm data describe ~/music --embedder clap:laion/larger_clap_music
    """
    from ..inspection.describe_folder import describe_folder

    found, rejected = describe_folder(folder, embedder)
    for track in rejected:
        print(f"refused {track.input}: {track.reason}", file=sys.stderr)
    if embedder == "nano-clap":
        print(f"warning: {NANO_CLAP_WARNING}", file=sys.stderr)
    if embedder is None:
        print(f"for instruments, genre and mood add --embedder {CLAP}", file=sys.stderr)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _print_table(found)


def _print_table(found: list[dict[str, Any]]) -> None:
    """Print one row of facts for each track."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("track", "caption", "bpm", "key", "LUFS", "voice", box=None)
    for track in found:
        table.add_row(
            escape(track["input"]),
            escape(track["caption"]),
            _decimals_text(track["tempo_bpm"], 0),
            track["key"],
            _decimals_text(track["loudness_lufs"], 1),
            _decimals_text(track["vocal_probability"], 2),
        )
    Console().print(table)


def _decimals_text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
