"""The command ``dmm ui``."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from .options import DeviceOption, NoOpenOption, PortOption


def ui(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Checkpoints, LoRAs, or folders of them.", show_default="models and runs"
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="CLIPS folder to show and write to.")
    ] = Path("clips"),
    port: PortOption = 8377,
    device: DeviceOption = "auto",
    no_open: NoOpenOption = False,
) -> None:
    """Open a page in the browser: generate clips, listen, join them and save the song.

    It is served to this machine only, at the address that is printed; ctrl-C ends it.

    Example: dmm ui models/nano --out clips
    """
    from ..serving.server import listen
    from ..ui.model_library import PLACES, find_models
    from ..ui.server import COMMAND, open_purged_workspace, serve

    server = listen(port, COMMAND)
    library = find_models(models or [place for place in PLACES if place.is_dir()])

    def show(address: str) -> None:
        print(address, flush=True)
        if not no_open:
            webbrowser.open(address)

    serve(open_purged_workspace(library, out, device), server, show)
