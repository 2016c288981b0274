"""The command ``dmm data fetch``."""

from pathlib import Path
from typing import Annotated

import typer

from ..fetch import COLLECTIONS, fetch_collection, find_collection


def fetch(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(COLLECTIONS)}.")],
    out: Annotated[Path, typer.Option(help="Folder to put it in.")],
    audio: Annotated[
        bool, typer.Option(help="The sound too; without it, captions and licences only.")
    ] = True,
) -> None:
    """Download a public collection of music, check it, unpack it; go on where it broke off.

    Files brought by hand into OUT are checked and used. Prints the folder to build from.

    Example: dmm data fetch sdd --out ~/music/sdd
    """
    collection = find_collection(name)
    fetch_collection(collection, out, audio=audio)
    print(f"{out}: {name} of {collection.page}; licence: {collection.licence}")
