"""``dmm ui``."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer


def ui(
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Checkpoints, LoRAs, or folders of them; default: models and runs."),
    ] = None,
    out: Annotated[Path, typer.Option(help="CLIPS folder, read and written.")] = Path("clips"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8377,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    no_open: Annotated[
        bool,
        typer.Option("--no-open", help="Open no browser, whose command line others here may see."),
    ] = False,
) -> None:
    """A page in the browser to type prompts, hear clips, join them and save the piece.

    It is served to this machine alone, under the address that is printed; ctrl-C ends it.

    Example: dmm ui models/nano --out clips
    """
    from ..ui.library import PLACES, find_models
    from ..ui.server import listen, open_desk, serve

    server = listen(port)
    library = find_models(models or [place for place in PLACES if place.is_dir()])

    def tell(address: str) -> None:
        print(address, flush=True)
        if not no_open:
            webbrowser.open(address)

    serve(open_desk(library, out, device), server, tell)
