"""Generate the clips of a CLIPS folder that do not exist yet, here or on a Ray cluster."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path

from ..errors import InputError
from ..files import folder_lock
from ..progress import progress_bar
from ..workers import map_in_order
from .callbacks import Callbacks, Stopped
from .clip_files import clip_path
from .clip_maker import Batch, ClipMaker
from .ranking import Ranking
from .requests import ClipRequest


def missing_requests(requests: Sequence[ClipRequest], maker: ClipMaker) -> list[ClipRequest]:
    """The requests whose clips do not exist with these settings."""
    return [
        request
        for batch in maker.split_batches(requests)
        for request in maker.missing_of_batch(batch)
    ]


def refuse_overwriting(requests: Sequence[ClipRequest], maker: ClipMaker) -> None:
    """InputError if clips would replace existing ones that have other settings."""
    if found := [
        name for batch in maker.split_batches(requests) for name in maker.conflicting_ids(batch)
    ]:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise InputError(
            f"{clip_path(maker.out, found[0], 'json')}{more}: a clip made with other settings; "
            "name another --out, or replace it with --overwrite"
        )


def make_missing_clips(
    requests: Sequence[ClipRequest],
    maker: ClipMaker,
    callbacks: Callbacks | None = None,
    ray: str | None = None,
) -> list[Path]:
    """Generate missing clips; returns the FLAC files of all that exist then, in order.

    The model is loaded only if a clip is missing. ``ray`` is a cluster's address, as
    ``dmm.workers`` takes it; its machines need the same files under the same absolute paths.
    DmmError and interruptions leave only complete clips. InputError if another process writes to
    the folder.
    """
    callbacks = callbacks or Callbacks()
    missing = maker.split_batches(missing_requests(requests, maker))
    if missing:
        _note_truncation(missing, maker, callbacks)
        _note_unknown_prompts(missing, maker.ranking, callbacks)
        if ray:
            made = _make_on_cluster(missing, maker, callbacks, ray)
        else:
            made = _make_here(missing, maker, callbacks)
        bar = progress_bar("generate", sum(map(len, missing)))
        with folder_lock(maker.out), bar as advance, suppress(Stopped):
            for batch in made:
                advance(len(batch))
    return [
        sound
        for batch in maker.split_batches(requests)
        for sound in maker.existing_flac_paths(batch)
    ]


def _make_here(batches: Sequence[Batch], maker: ClipMaker, callbacks: Callbacks) -> Iterator[Batch]:
    """Make batch after batch on this machine; yields each finished batch."""
    for batch in batches:
        for sound in maker.generate_and_write(batch, callbacks):
            callbacks.on_clip(sound)
        yield batch


def _make_on_cluster(
    batches: Sequence[Batch], maker: ClipMaker, callbacks: Callbacks, address: str
) -> Iterator[Batch]:
    """One Ray task a batch; each worker keeps its model for the next task."""
    task, processes = partial(_make_on_worker, maker), os.cpu_count() or 1
    on_gpu = maker.model.device != "cpu"
    done = map_in_order(task, batches, processes, address, on_gpu)
    for batch, (sounds, notes) in zip(batches, done, strict=True):
        for note in notes:
            callbacks.on_note(note)
        for sound in sounds:
            callbacks.on_clip(sound)
        yield batch
        if callbacks.should_stop():
            raise Stopped


def _make_on_worker(maker: ClipMaker, batch: Batch) -> tuple[list[Path], list[str]]:
    """On a Ray worker: the FLAC files of a batch, and notes for the user."""
    notes: list[str] = []
    sounds = list(
        _maker_kept_by_worker(maker).generate_and_write(batch, Callbacks(on_note=notes.append))
    )
    return sounds, notes


@lru_cache(maxsize=1)
def _maker_kept_by_worker(maker: ClipMaker) -> ClipMaker:
    """The first maker equal to this one, with its model loaded already."""
    return maker


def _note_truncation(batches: Sequence[Batch], maker: ClipMaker, callbacks: Callbacks) -> None:
    """Report prompts that are too long for CLIP."""
    texts = [
        t
        for batch in batches
        for request in batch
        for t in maker.settings.anchored_prompts(request)
    ]
    negative = maker.settings.sampling.negative_prompt
    for line in maker.model.truncation_notes([negative, *texts]):
        callbacks.on_note(line)


def _note_unknown_prompts(
    batches: Sequence[Batch], ranking: Ranking | None, callbacks: Callbacks
) -> None:
    if ranking:
        for prompt in ranking.unknown_prompts([batch[0].prompt for batch in batches]):
            name = ranking.embedder.name
            callbacks.on_note(
                f'{name} knows no word of "{prompt}": its choice (--rank) means nothing; use CLAP '
                "(--rank clap --weights FOLDER)"
            )
