"""The command ``dmm data fetch``."""

from pathlib import Path
from typing import Annotated

import typer

from ..public_collections import COLLECTIONS, find_collection


def fetch(
    name: Annotated[str, typer.Argument(help=f"Name of the collection: {', '.join(COLLECTIONS)}.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder to download to.")],
    audio: Annotated[
        bool, typer.Option(help="Download the sound too, not only captions and licences.")
    ] = True,
) -> None:
    """Download a public collection of music, check it, and unpack it.

    An interrupted download continues when the same command is run again. Files that are already in
    OUT, also those put there by hand, are checked and used.

    Example: dmm data fetch sdd --out ~/music/sdd
    """
    from ..fetch import fetch_collection

    collection = find_collection(name)
    fetch_collection(collection, out, audio=audio)
    print(f"{out}: {name} of {collection.page}; licence: {collection.licence}")
