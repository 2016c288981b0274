"""The page's web server: routes and errors."""

import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from ..choices import DEFAULT_FORMAT
from ..codec.mel import format_names
from ..errors import DmmError
from ..generation.sampling import SAMPLERS, Sampling
from ..serving.guard import Guard
from ..serving.server import IMMUTABLE
from ..serving.server import serve as serve_page
from .clip_jobs import ClipJobs, WouldReplace
from .jobs import Busy, Jobs
from .kept_clips import KeptClips
from .model_library import LoraFile, Model, ModelLibrary
from .request_bodies import (
    ClipBody,
    ClipsBody,
    FavouriteBody,
    SongBody,
    TimelineBody,
    VariationsBody,
)
from .stored_clips import ClipsFolder
from .stored_songs import StoredSongs
from .timeline_file import TimelineFile

STATIC = Path(__file__).parent / "static"
SHOWN = 200
"""Newest clips on the page, beside those on the timeline."""
COMMAND = "dmm ui"
POLICY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
}
"""The page loads nothing from elsewhere."""


@dataclass(frozen=True)
class Workspace:
    """A CLIPS folder with its songs and timeline, the models, and the running job."""

    clips: ClipsFolder
    kept: KeptClips
    timeline: TimelineFile
    songs: StoredSongs
    clip_jobs: ClipJobs
    jobs: Jobs
    library: ModelLibrary


def open_purged_workspace(library: ModelLibrary, out: Path, device: str) -> Workspace:
    """The workspace of the CLIPS folder ``out``, after deleting its deleted clips for good."""
    jobs, clips = Jobs(), ClipsFolder(out)
    clip_jobs, songs = ClipJobs(library, out, device, jobs), StoredSongs(clips, jobs)
    kept = KeptClips(clips)
    kept.purge_deleted()
    return Workspace(clips, kept, TimelineFile(out), songs, clip_jobs, jobs, library)


def create_app(workspace: Workspace, port: int, token: str) -> FastAPI:
    """The FastAPI application, which accepts only the page's own requests."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(
        Guard, port=port, token=token, command=COMMAND, page_headers=lambda _: POLICY
    )
    for kind, status in ((RequestValidationError, 422), (Busy, 409), (DmmError, 400)):
        app.add_exception_handler(kind, _error_handler(status))
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
            **_form_choices(workspace.library),
            **shown(),
            "timeline": workspace.timeline.read(),
            "job": job(),
        }

    @app.get("/api/clips")
    def shown() -> dict[str, Any]:
        favourites = workspace.kept.favourite_ids()
        also = [*workspace.timeline.read().clips, *favourites]
        clips, count = workspace.clips.newest_clips_and_count(SHOWN, also=also)
        return {
            "clips": [clip | {"is_favourite": clip["id"] in favourites} for clip in clips],
            "n_clips": count,
            "songs": workspace.songs.newest_songs(),
        }

    @app.get("/api/job")
    def job() -> dict[str, Any] | None:
        return workspace.jobs.last.as_json() if workspace.jobs.last else None

    @app.get("/clips/{clip_id}.png")
    def image(clip_id: str) -> Response:
        return Response(
            workspace.clips.coloured_image_png(clip_id), media_type="image/png", headers=IMMUTABLE
        )

    @app.get("/clips/{clip_id}.flac")
    def sound(clip_id: str) -> FileResponse:
        return FileResponse(workspace.clips.file_path(clip_id, ".flac"), headers=IMMUTABLE)

    @app.get("/songs/{name}/picture")
    def song_image(name: str) -> Response:
        return Response(
            workspace.songs.coloured_image_png(name), media_type="image/png", headers=IMMUTABLE
        )

    @app.get("/songs/{name}")
    def song(name: str) -> FileResponse:
        return FileResponse(workspace.songs.sound_path(name), headers=IMMUTABLE)


def _add_changing_routes(app: FastAPI, workspace: Workspace) -> None:
    """Routes that start jobs, change clips or save the timeline."""

    @app.post("/api/clips", status_code=202)
    def make(body: ClipsBody) -> dict[str, Any]:
        workspace.clip_jobs.start(body)
        return {}

    @app.post("/api/variations", status_code=202)
    def vary(body: VariationsBody) -> dict[str, Any]:
        workspace.clip_jobs.start_variations(body, workspace.clips.clip_facts(body.clip))
        return {}

    @app.post("/api/favourite")
    def mark(body: FavouriteBody) -> dict[str, Any]:
        workspace.kept.set_favourite(body.clip, body.is_favourite)
        return {}

    @app.post("/api/delete")
    def delete(body: ClipBody) -> dict[str, Any]:
        workspace.kept.delete(body.clip)
        return {}

    @app.post("/api/restore")
    def restore(body: ClipBody) -> dict[str, Any]:
        workspace.kept.restore(body.clip)
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
        workspace.songs.start_joining(body)
        return {}


def _form_choices(library: ModelLibrary) -> dict[str, Any]:
    """The choices and defaults of the page's form."""
    return {
        "models": {name: _file_as_json(model) for name, model in library.models.items()},
        "loras": {name: _file_as_json(lora) for name, lora in library.loras.items()},
        "formats": format_names(),
        "default_format": DEFAULT_FORMAT,
        "samplers": list(SAMPLERS),
        "defaults": asdict(Sampling()),
    }


def _file_as_json(file: Model | LoraFile) -> dict[str, Any]:
    return {**asdict(file), "path": str(file.path)}


def _error_handler(status: int) -> Callable[[Request, Any], JSONResponse]:
    def respond(_: Request, error: Any) -> JSONResponse:
        if isinstance(error, WouldReplace):
            return JSONResponse({"detail": str(error), "replaces": error.clip_ids}, 409)
        if isinstance(error, RequestValidationError):
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:]) or "request"
            return JSONResponse({"detail": f"{where}: {first['msg']}"}, status)
        return JSONResponse({"detail": str(error)}, status)

    return respond


def serve(workspace: Workspace, server: socket.socket, on_start: Callable[[str], object]) -> None:
    """Serve the page until ctrl-C; ``on_start`` receives its address, which holds the token."""
    try:
        serve_page(partial(create_app, workspace), server, on_start)
    finally:
        workspace.jobs.cancel()
        workspace.jobs.wait(60.0)
