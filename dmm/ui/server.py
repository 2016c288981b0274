"""The page's server: what each address answers, on the loopback only."""

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from ..codec.mel import format_names
from ..errors import DmmError, InputError
from ..generation.sampling import SAMPLERS, Sampling
from .clips import ClipsFolder
from .guard import LOOPBACK, Guard
from .jobs import Busy, Jobs
from .library import Library
from .making import ClipMaking, Replaces
from .orders import ClipsOrder, SongOrder, Timeline
from .songs import Songs
from .timeline import TimelineFile

STATIC = Path(__file__).parent / "static"
SHOWN = 200
"""Clips on the page: the newest, and those on the timeline."""
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
"""For addresses that change when what they name does."""


@dataclass(frozen=True)
class Desk:
    """Everything that the page works with."""

    clips: ClipsFolder
    timeline: TimelineFile
    songs: Songs
    making: ClipMaking
    jobs: Jobs
    library: Library


def open_desk(library: Library, out: Path, device: str) -> Desk:
    """The page's things over a CLIPS folder."""
    jobs, clips = Jobs(), ClipsFolder(out)
    making, songs = ClipMaking(library, out, device, jobs), Songs(clips, jobs)
    return Desk(clips, TimelineFile(out), songs, making, jobs, library)


def create_app(desk: Desk, port: int, token: str) -> FastAPI:
    """The application, which answers nobody but the page."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, port=port, token=token)
    for kind, status in ((RequestValidationError, 422), (Busy, 409), (DmmError, 400)):
        app.add_exception_handler(kind, _teller(status))
    _add_pages(app, desk)
    _add_orders(app, desk)
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _add_pages(app: FastAPI, desk: Desk) -> None:
    """What is looked at and heard."""

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})

    @app.get("/api/state")
    def state() -> dict[str, Any]:
        return {**_offers(desk.library), **shown(), "timeline": desk.timeline.read(), "job": job()}

    @app.get("/api/clips")
    def shown() -> dict[str, Any]:
        clips, count = desk.clips.newest(SHOWN, also=desk.timeline.read().clips)
        return {"clips": clips, "n_clips": count, "songs": desk.songs.newest()}

    @app.get("/api/job")
    def job() -> dict[str, Any] | None:
        return desk.jobs.last.as_json() if desk.jobs.last else None

    @app.get("/clips/{clip_id}.png")
    def picture(clip_id: str) -> Response:
        return Response(desk.clips.picture(clip_id), media_type="image/png", headers=FOREVER)

    @app.get("/clips/{clip_id}.flac")
    def sound(clip_id: str) -> FileResponse:
        return FileResponse(desk.clips.file(clip_id, ".flac"), headers=FOREVER)

    @app.get("/songs/{name}/picture")
    def song_picture(name: str) -> Response:
        return Response(desk.songs.picture(name), media_type="image/png", headers=FOREVER)

    @app.get("/songs/{name}")
    def song(name: str) -> FileResponse:
        return FileResponse(desk.songs.file(name), headers=FOREVER)


def _add_orders(app: FastAPI, desk: Desk) -> None:
    """What changes something."""

    @app.post("/api/clips", status_code=202)
    def make(order: ClipsOrder) -> dict[str, Any] | None:
        desk.making.start(order)
        return {}

    @app.post("/api/cancel")
    def cancel() -> dict[str, Any]:
        desk.jobs.cancel()
        return {}

    @app.post("/api/timeline")
    def keep(timeline: Timeline) -> dict[str, Any]:
        desk.timeline.write(timeline)
        return {}

    @app.post("/api/songs", status_code=202)
    def export(order: SongOrder) -> dict[str, Any]:
        desk.songs.start(order)
        return {}


def _offers(library: Library) -> dict[str, Any]:
    """What the form lets one choose from."""
    return {
        "models": {name: _told(model) for name, model in library.models.items()},
        "loras": {name: _told(lora) for name, lora in library.loras.items()},
        "formats": format_names(),
        "samplers": list(SAMPLERS),
        "defaults": asdict(Sampling()),
    }


def _told(thing: Any) -> dict[str, Any]:
    return {**asdict(thing), "path": str(thing.path)}


def _teller(status: int) -> Callable[[Request, Any], JSONResponse]:
    def tell(_: Request, error: Any) -> JSONResponse:
        if isinstance(error, Replaces):
            return JSONResponse({"detail": str(error), "replaces": error.clip_ids}, 409)
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:]) or "order"
            return JSONResponse({"detail": f"{where}: {first['msg']}"}, status)
        return JSONResponse({"detail": str(error)}, status)

    return tell


def listen(port: int) -> socket.socket:
    """A socket of the loopback alone; 0 takes any free port. InputError if it is taken."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two programs share the port
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((LOOPBACK, port))
        server.listen()  # from here on a browser waits, even if it is quicker than the server
    except OSError as error:
        server.close()
        raise InputError(
            f"port {port}: {error.strerror}; is dmm ui running already? else name another --port"
        ) from error
    return server


def serve(desk: Desk, server: socket.socket, on_start: Callable[[str], object]) -> None:
    """Serve the page until ctrl-C; ``on_start`` gets its address, which holds the key."""
    port, token = server.getsockname()[1], secrets.token_urlsafe(32)
    config = uvicorn.Config(
        create_app(desk, port, token), log_level="warning", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    on_start(f"http://{LOOPBACK}:{port}/?token={token}")
    try:
        uvicorn.Server(config).run(sockets=[server])
    except KeyboardInterrupt:  # how one ends it
        pass
    finally:
        desk.jobs.cancel()
        desk.jobs.wait(60.0)
