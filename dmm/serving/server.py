"""A web server for one page, on the loopback only."""

import os
import secrets
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from ..errors import InputError
from .guard import LOOPBACK

IMMUTABLE = {"cache-control": "private, max-age=31536000, immutable"}
"""Headers of files whose address changes with their content."""


def listen(port: int, command: str) -> socket.socket:
    """A listening socket on the loopback only; port 0 takes a free one. InputError if taken."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # on Windows it would let two programs share the port
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((LOOPBACK, port))
        server.listen()  # a browser may connect from here on, before the server runs
    except OSError as error:
        server.close()
        raise InputError(
            f"port {port}: {error.strerror}; is {command} running already? else name another --port"
        ) from error
    return server


def serve(
    create_app: Callable[[int, str], ASGIApp],
    server: socket.socket,
    on_start: Callable[[str], object],
) -> None:
    """Serve until ctrl-C what ``create_app`` makes of the port and the token.

    ``on_start`` receives the page's address, which holds the token.
    """
    port, token = server.getsockname()[1], secrets.token_urlsafe(32)
    config = uvicorn.Config(
        create_app(port, token), log_level="warning", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    on_start(f"http://{LOOPBACK}:{port}/?token={token}")
    try:
        uvicorn.Server(config).run(sockets=[server])
    except KeyboardInterrupt:  # the usual end
        pass
