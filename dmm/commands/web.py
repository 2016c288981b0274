"""The command ``dmm web``."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from .options import NoOpenOption, PortOption


def web(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Bundles (folders of dmm export) or checkpoints, which are exported once.",
            show_default="nano-student",
        ),
    ] = None,
    build: Annotated[
        Path | None,
        typer.Option(help="Write the page with its models to this folder, for any static host."),
    ] = None,
    port: PortOption = 8378,
    no_open: NoOpenOption = False,
) -> None:
    """Open the player: your model makes music in a browser tab, nothing leaves this machine.

    The page is built on first use, with Node.js from the extra ``web``: uv run --extra web dmm web.
    It is served to this machine only, at the address that is printed; ctrl-C ends it.

    Example: dmm web models/nano/nano.safetensors
    """
    from ..serving.server import listen
    from ..web.offers import default_model, open_or_export_bundles
    from ..web.page import built_page
    from ..web.server import COMMAND, serve
    from ..web.site import write_site

    if build:
        write_site(built_page(), open_or_export_bundles(models or [default_model()]), build)
        print(build)
        return
    server = listen(port, COMMAND)
    offers = open_or_export_bundles(models or [default_model()])

    def show(address: str) -> None:
        print(address, flush=True)
        if not no_open:
            webbrowser.open(address)

    serve(built_page(), offers, server, show)
