"""List the tracks of a build: those of its source, and those for regularisation alone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from dmm.codec.mel import load_format

from ..sources import Rejected, SourceRequest, Track
from ..sources.catalogue import source_tracks
from .options import BuildOptions

REG_SEED_OFFSET = 1_000_000
"""From the seed of MiniMIDI's training pieces to the seed of its regularisation pieces."""
NamedRequest = tuple[str, SourceRequest]
"""A source's name, and the request for it."""


def source_requests(
    options: BuildOptions,
    input: Path | None,  # noqa: A002 - the option's name on the command line
    reg_input: Path | None,
    tags: Path | None,
    count: int,
) -> list[NamedRequest]:
    """Requests to the sources: for training tracks first, then for regularisation tracks."""
    clip_s = load_format(options.format).clip_duration_s
    training = SourceRequest(
        input=_absolute_if_local(input),
        licence=options.licence,
        count=count,
        styles=options.styles,
        seed=options.seed,
        duration_s=clip_s,
        instruments=options.instruments,
        unseen=options.unseen,
        soundfont=options.soundfont,
        vocals=options.singers,
        mixed_players=options.mixed_players,
        tags=tags,
        valid_only=options.valid_only,
        caption_column=options.caption_column,
    )
    requests = [(options.source, training)]
    if reg_input:
        requests.append(("folder", SourceRequest(_absolute_if_local(reg_input), options.licence)))
    if n := options.reg_minimidi:
        pieces = SourceRequest(count=n, seed=options.seed + REG_SEED_OFFSET, duration_s=clip_s)
        requests.append(("minimidi", pieces))
    return requests


def _absolute_if_local(path: Path | None) -> Path | None:
    """Absolute path, for worker processes; a path that does not exist may be a name on the Hub."""
    return path.resolve() if path and path.exists() else path


def list_tracks(
    requests: Sequence[NamedRequest], progress: Progress
) -> tuple[list[Track], list[Rejected]]:
    """List all tracks and all refusals; files with the bytes of an earlier one are refused."""
    tracks: dict[str, Track] = {}
    rejected: list[Rejected] = []
    task = progress.add_task("listing", total=None)
    for found in _all_tracks(requests):
        progress.advance(task)
        if isinstance(found, Rejected):
            rejected.append(found)
        elif (first := tracks.setdefault(found.sha256, found)) is not found:
            rejected.append(Rejected(found.input, f"duplicate: the same bytes as {first.input}"))
    progress.update(task, total=len(tracks) + len(rejected))
    return list(tracks.values()), rejected


def _all_tracks(requests: Sequence[NamedRequest]) -> Iterator[Track | Rejected]:
    """Yield the tracks of all requests; those after the first request are for regularisation."""
    for number, (source, request) in enumerate(requests):
        for found in source_tracks(source, request):
            is_reg = number > 0 and isinstance(found, Track)
            yield replace(found, is_reg=True) if is_reg else found
