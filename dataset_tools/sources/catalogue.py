"""Dataset sources by name; the module of a source is imported only when its tracks are listed."""

from collections.abc import Callable, Iterator

from dmm.errors import InputError

from . import Rejected, SourceRequest, Track

TracksAndRefusals = Iterator[Track | Rejected]


def source_tracks(name: str, request: SourceRequest) -> TracksAndRefusals:
    """Yield the named source's tracks and refusals; InputError lists the names of all sources."""
    if name not in SOURCES:
        raise InputError(f"no source {name!r}; known: {', '.join(SOURCES)}")
    return SOURCES[name](request)


def _folder_tracks(request: SourceRequest) -> TracksAndRefusals:
    from .folder import tracks

    return tracks(request)


def _minimidi_tracks(request: SourceRequest) -> TracksAndRefusals:
    from .minimidi_clips import tracks

    return tracks(request)


def _sdd_tracks(request: SourceRequest) -> TracksAndRefusals:
    from .sdd import tracks

    return tracks(request)


def _suno_tracks(request: SourceRequest) -> TracksAndRefusals:
    from .suno import tracks

    return tracks(request)


def _huggingface_tracks(request: SourceRequest) -> TracksAndRefusals:
    from .huggingface import tracks

    return tracks(request)


SOURCES: dict[str, Callable[[SourceRequest], TracksAndRefusals]] = {
    "folder": _folder_tracks,
    "minimidi": _minimidi_tracks,
    "sdd": _sdd_tracks,
    "suno": _suno_tracks,
    "huggingface": _huggingface_tracks,
}
"""Name, as for ``--source``, to the generator of its tracks."""
