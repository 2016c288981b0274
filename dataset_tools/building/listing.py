"""What a build reads: the source's tracks, and those that are given for regularisation alone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from dmm.codec.mel import load_format

from ..sources import Rejected, SourceRequest, Track
from ..sources.catalogue import source_tracks
from .options import BuildOptions

REG_SEED = 1_000_000
"""Between the seeds of MiniMIDI's pieces to train on and of those for regularisation."""
Asked = tuple[str, SourceRequest]
"""A source's name, and what is wanted of it."""


def requests(
    options: BuildOptions,
    input: Path | None,  # noqa: A002 - the option's name on the command line
    reg_input: Path | None,
    tags: Path | None,
    count: int,
) -> list[Asked]:
    """What to read for training first, then what to read for regularisation."""
    clip_s = load_format(options.format).clip_duration_s
    own = SourceRequest(
        input=_absolute(input),
        licence=options.licence,
        count=count,
        styles=options.styles,
        seed=options.seed,
        duration_s=clip_s,
        instruments=options.instruments,
        unseen=options.unseen,
        soundfont=options.soundfont,
        vocals=options.singers,
        tags=tags,
        valid_only=options.valid_only,
        caption_column=options.caption_column,
    )
    asked = [(options.source, own)]
    if reg_input:
        asked.append(("folder", SourceRequest(_absolute(reg_input), options.licence)))
    if n := options.reg_minimidi:
        pieces = SourceRequest(count=n, seed=options.seed + REG_SEED, duration_s=clip_s)
        asked.append(("minimidi", pieces))
    return asked


def _absolute(path: Path | None) -> Path | None:
    """The path as workers elsewhere find it; what does not exist may be a name on the Hub."""
    return path.resolve() if path and path.exists() else path


def list_tracks(asked: Sequence[Asked], progress: Progress) -> tuple[list[Track], list[Rejected]]:
    """List all tracks, each sound once, and what the sources refused."""
    tracks: dict[str, Track] = {}
    rejected: list[Rejected] = []
    task = progress.add_task("listing", total=None)
    for found in _found(asked):
        progress.advance(task)
        if isinstance(found, Rejected):
            rejected.append(found)
        elif (first := tracks.setdefault(found.sha256, found)) is not found:
            rejected.append(Rejected(found.input, f"duplicate: the same bytes as {first.input}"))
    progress.update(task, total=len(tracks) + len(rejected))
    return list(tracks.values()), rejected


def _found(asked: Sequence[Asked]) -> Iterator[Track | Rejected]:
    for number, (source, request) in enumerate(asked):
        for found in source_tracks(source, request):
            is_reg = number > 0 and isinstance(found, Track)
            yield replace(found, is_reg=True) if is_reg else found
