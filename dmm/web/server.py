"""The player's web server: the page, and bundles in ranges."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..serving.guard import Guard
from ..serving.server import serve as serve_page
from .offers import OfferedBundle, bundle_list
from .page import page_headers, page_policy

COMMAND = "dmm web"
KEPT = "private, max-age=31536000, immutable"
"""``cache-control`` of files that browsers keep for a year."""


class PageFiles(StaticFiles):
    """The page's files. Browsers keep those in ``assets``, whose names change with their content.

    Chromium keeps the runtime's compiled code only with a file that it keeps.
    """

    def file_response(self, full_path: Any, *arguments: Any, **named: Any) -> Response:
        """The response for a file; 304 if the browser's copy is current."""
        response = super().file_response(full_path, *arguments, **named)
        if Path(full_path).parent.name == "assets":
            response.headers["cache-control"] = KEPT
        return response


def create_app(page: Path, offers: Sequence[OfferedBundle], port: int, token: str) -> Starlette:
    """The application, which accepts only the page's own requests."""
    by_path = {offer.path: offer for offer in offers}

    def list_bundles(_: Request) -> JSONResponse:
        return JSONResponse(bundle_list(offers))

    def bundle_file(request: Request) -> Response:
        offer = by_path.get(request.path_params["bundle"])
        path = offer and offer.file(request.path_params["file"])
        if path is None:
            return PlainTextResponse("no such bundle, or no file of it", 404)
        return FileResponse(path)  # answers ranges, so that what was interrupted is resumed

    routes = [
        Route("/bundles/index.json", list_bundles),
        Route("/bundles/{bundle}/{file:path}", bundle_file),
        Mount("/", PageFiles(directory=page, html=True)),
    ]
    guard = Middleware(
        Guard,
        port=port,
        token=token,
        command=COMMAND,
        page_headers=partial(page_headers, page_policy(page)),
    )
    return Starlette(routes=routes, middleware=[guard])


def serve(
    page: Path, offers: Sequence[OfferedBundle], server: socket, on_start: Callable[[str], object]
) -> None:
    """Serve until ctrl-C; ``on_start`` receives the page's address, which holds the token."""
    serve_page(partial(create_app, page, offers), server, on_start)
