"""The page's web server, on the loopback only: routes, errors and start."""

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

from ..choices import DEFAULT_FORMAT
from ..codec.mel import format_names
from ..errors import DmmError, InputError
from ..generation.sampling import SAMPLERS, Sampling
from .clip_jobs import ClipJobs, WouldReplace
from .guard import LOOPBACK, Guard
from .jobs import Busy, Jobs
from .model_library import LoraFile, Model, ModelLibrary
from .request_bodies import ClipsBody, SongBody, TimelineBody
from .stored_clips import ClipsFolder
from .stored_songs import StoredSongs
from .timeline_file import TimelineFile

STATIC = Path(__file__).parent / "static"
SHOWN = 200
"""Newest clips on the page, beside those on the timeline."""
IMMUTABLE = {"cache-control": "private, max-age=31536000, immutable"}
"""Headers of files whose address changes with their content."""


@dataclass(frozen=True)
class Workspace:
    """A CLIPS folder with its songs and timeline, the models, and the running job."""

    clips: ClipsFolder
    timeline: TimelineFile
    songs: StoredSongs
    clip_jobs: ClipJobs
    jobs: Jobs
    library: ModelLibrary


def open_workspace(library: ModelLibrary, out: Path, device: str) -> Workspace:
    """The workspace of the CLIPS folder ``out``."""
    jobs, clips = Jobs(), ClipsFolder(out)
    clip_jobs, songs = ClipJobs(library, out, device, jobs), StoredSongs(clips, jobs)
    return Workspace(clips, TimelineFile(out), songs, clip_jobs, jobs, library)


def create_app(workspace: Workspace, port: int, token: str) -> FastAPI:
    """The FastAPI application, which accepts only the page's own requests."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, port=port, token=token)
    for kind, status in ((RequestValidationError, 422), (Busy, 409), (DmmError, 400)):
        app.add_exception_handler(kind, _error_response(status))
    _add_reading_routes(app, workspace)
    _add_changing_routes(app, workspace)
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _add_reading_routes(app: FastAPI, workspace: Workspace) -> None:
    """Routes for the page, its data, images and sound."""

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})

    @app.get("/api/state")
    def state() -> dict[str, Any]:
        return {
            **_choices(workspace.library),
            **shown(),
            "timeline": workspace.timeline.read(),
            "job": job(),
        }

    @app.get("/api/clips")
    def shown() -> dict[str, Any]:
        clips, count = workspace.clips.newest(SHOWN, also=workspace.timeline.read().clips)
        return {"clips": clips, "n_clips": count, "songs": workspace.songs.newest()}

    @app.get("/api/job")
    def job() -> dict[str, Any] | None:
        return workspace.jobs.last.as_json() if workspace.jobs.last else None

    @app.get("/clips/{clip_id}.png")
    def image(clip_id: str) -> Response:
        return Response(
            workspace.clips.coloured_image(clip_id), media_type="image/png", headers=IMMUTABLE
        )

    @app.get("/clips/{clip_id}.flac")
    def sound(clip_id: str) -> FileResponse:
        return FileResponse(workspace.clips.file(clip_id, ".flac"), headers=IMMUTABLE)

    @app.get("/songs/{name}/picture")
    def song_image(name: str) -> Response:
        return Response(
            workspace.songs.coloured_image(name), media_type="image/png", headers=IMMUTABLE
        )

    @app.get("/songs/{name}")
    def song(name: str) -> FileResponse:
        return FileResponse(workspace.songs.file(name), headers=IMMUTABLE)


def _add_changing_routes(app: FastAPI, workspace: Workspace) -> None:
    """Routes that start jobs or save the timeline."""

    @app.post("/api/clips", status_code=202)
    def make(body: ClipsBody) -> dict[str, Any]:
        workspace.clip_jobs.start(body)
        return {}

    @app.post("/api/cancel")
    def cancel() -> dict[str, Any]:
        workspace.jobs.cancel()
        return {}

    @app.post("/api/timeline")
    def save(timeline: TimelineBody) -> dict[str, Any]:
        workspace.timeline.write(timeline)
        return {}

    @app.post("/api/songs", status_code=202)
    def export(body: SongBody) -> dict[str, Any]:
        workspace.songs.start(body)
        return {}


def _choices(library: ModelLibrary) -> dict[str, Any]:
    """The choices and defaults of the page's form."""
    return {
        "models": {name: _as_json(model) for name, model in library.models.items()},
        "loras": {name: _as_json(lora) for name, lora in library.loras.items()},
        "formats": format_names(),
        "default_format": DEFAULT_FORMAT,
        "samplers": list(SAMPLERS),
        "defaults": asdict(Sampling()),
    }


def _as_json(file: Model | LoraFile) -> dict[str, Any]:
    return {**asdict(file), "path": str(file.path)}


def _error_response(status: int) -> Callable[[Request, Any], JSONResponse]:
    def respond(_: Request, error: Any) -> JSONResponse:
        if isinstance(error, WouldReplace):
            return JSONResponse({"detail": str(error), "replaces": error.clip_ids}, 409)
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:]) or "request"
            return JSONResponse({"detail": f"{where}: {first['msg']}"}, status)
        return JSONResponse({"detail": str(error)}, status)

    return respond


def listen(port: int) -> socket.socket:
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
            f"port {port}: {error.strerror}; is dmm ui running already? else name another --port"
        ) from error
    return server


def serve(workspace: Workspace, server: socket.socket, on_start: Callable[[str], object]) -> None:
    """Serve the page until ctrl-C; ``on_start`` receives its address, which holds the token."""
    port, token = server.getsockname()[1], secrets.token_urlsafe(32)
    config = uvicorn.Config(
        create_app(workspace, port, token), log_level="warning", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    on_start(f"http://{LOOPBACK}:{port}/?token={token}")
    try:
        uvicorn.Server(config).run(sockets=[server])
    except KeyboardInterrupt:  # the usual end
        pass
    finally:
        workspace.jobs.cancel()
        workspace.jobs.wait(60.0)
