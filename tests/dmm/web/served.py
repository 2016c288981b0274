"""The player on a server of the tests, which can fail as servers and networks do."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from dmm.serving.server import listen
from dmm.web.offers import open_or_export_bundles
from dmm.web.server import create_app

KEY = "secret"


@dataclass
class Faults:
    """What goes wrong, by the end of a request's path; each is done so many times as it is set."""

    altered: dict[str, int] = field(default_factory=dict)
    """Answers whose first byte is another."""
    broken_off: dict[str, int] = field(default_factory=dict)
    """Answers that end in the middle."""
    preludes: dict[str, str] = field(default_factory=dict)
    """Scripts by a part of their names: what is put before them, however often they are fetched."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Path and range of every request for a bundle's file."""


@dataclass(frozen=True)
class Served:
    """The page's address and the faults of its server."""

    url: str
    faults: Faults

    @property
    def entrance(self) -> str:
        """The address that lets a browser in."""
        return f"{self.url}?token={KEY}"


class Faulty:
    """ASGI middleware that does the faults."""

    def __init__(self, app, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope, receive, send):
        """Pass the request on, and its answer altered or broken off."""
        path = scope.get("path", "")
        if scope["type"] != "http" or "/bundles/" not in path:
            await self.app(scope, receive, send)
            return
        ranges = dict(scope["headers"]).get(b"range", b"").decode()
        self.faults.requests.append((path.rsplit("/", 1)[-1], ranges))
        alters = _due(self.faults.altered, path)
        breaks = _due(self.faults.broken_off, path)

        async def faulty(message):
            body = message.get("body", b"")
            if body and alters:
                message["body"] = bytes([body[0] ^ 1]) + body[1:]
            if body and breaks:
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                await asyncio.sleep(2)  # closing at once may take sent bytes with it
                raise ConnectionError("broken off")
            await send(message)

        try:
            await self.app(scope, receive, faulty)
        except ConnectionError:
            pass  # uvicorn closes the connection of an answer that is not whole


class Prelude:
    """ASGI middleware that puts text before the page's own scripts."""

    def __init__(self, app, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope, receive, send):
        """Answer with the script behind its prelude."""
        path = scope.get("path", "")
        found = [text for name, text in self.faults.preludes.items() if name in path]

        async def prefixed(message):
            if message["type"] == "http.response.start" and message["status"] != 200:
                found.clear()
            elif message["type"] == "http.response.start" and found:
                headers = [each for each in message["headers"] if each[0] != b"content-length"]
                message = {**message, "headers": headers}
            elif found:
                message = {**message, "body": found.pop().encode() + message.get("body", b"")}
            await send(message)

        await self.app(scope, receive, prefixed)


def _due(faults: dict[str, int], path: str) -> bool:
    name = next((name for name, left in faults.items() if left and path.endswith(name)), None)
    if name:
        faults[name] -= 1
    return name is not None


@contextmanager
def served(page: Path, bundles: list[Path]) -> Iterator[Served]:
    """Serve page and bundles until the block ends."""
    faults = Faults()
    with listen(0, "dmm web") as sock:
        port = sock.getsockname()[1]
        app = Prelude(create_app(page, open_or_export_bundles(bundles), port, KEY), faults)
        app = Faulty(app, faults)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        yield Served(f"http://127.0.0.1:{port}/", faults)
        server.should_exit = True
        thread.join(10)
