"""Make the clips that are wanted and not there yet, here or on a cluster."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from ..devices import pick_precision
from ..progress import progress_bar
from ..workers import has_gpus, map_in_order
from .callbacks import Stopped, Watch
from .loaded_model import Studio
from .making import Job, Maker, Order
from .prompts import unread_by
from .requests import Request


def make_clips(
    wanted: Sequence[Request],
    order: Order,
    studio: Studio | None = None,
    watch: Watch | None = None,
    ray: str | None = None,
) -> list[Path]:
    """Make what of the clips is not there; returns the sounds of all that are, in order.

    The model is loaded only if something is missing. ``studio`` is one that is open already;
    ``ray`` the address of a cluster, as ``dmm.workers`` takes it, whose machines see the same
    paths. DmmError, in one line, and an interruption leave whole clips and no halves.
    """
    watch = watch or Watch()
    if ray is not None:
        order = _for_cluster(order, ray)
    maker = Maker(order, studio)
    jobs = order.jobs(wanted)
    missing = order.jobs([request for job in jobs for request in maker.missing(job)])
    if missing:
        _tell_of_unread(missing, order, watch)
        made = _on_cluster(missing, order, watch, ray) if ray else _here(missing, maker, watch)
        with progress_bar("generate", sum(map(len, missing))) as advance, suppress(Stopped):
            for job in made:
                advance(len(job))
    return [sound for job in jobs for sound in maker.sounds(job)]


def _here(jobs: Sequence[Job], maker: Maker, watch: Watch) -> Iterator[Job]:
    for job in jobs:
        for sound in maker.make(job, watch):
            watch.on_clip(sound)
        yield job


def _on_cluster(jobs: Sequence[Job], order: Order, watch: Watch, address: str) -> Iterator[Job]:
    """A task a job; each worker keeps its model for the next."""
    task, processes = partial(_make_there, order), os.cpu_count() or 1
    on_gpu = order.device != "cpu"
    done = map_in_order(task, jobs, processes, address, on_gpu)
    for job, (sounds, notes) in zip(jobs, done, strict=True):
        for note in notes:
            watch.on_note(note)
        for sound in sounds:
            watch.on_clip(sound)
        yield job
        if watch.should_stop():
            raise Stopped


def _make_there(order: Order, job: Job) -> tuple[list[Path], list[str]]:
    """On a worker: the sounds of a job, and notes."""
    notes: list[str] = []
    sounds = list(_maker(order).make(job, Watch(on_note=notes.append)))
    return sounds, notes


@lru_cache(maxsize=1)
def _maker(order: Order) -> Maker:
    return Maker(order)


def _for_cluster(order: Order, address: str) -> Order:
    """The order in words that mean the same on every machine, whatever this one has."""
    device = order.device
    if device == "auto":
        device = "cuda" if has_gpus(address, os.cpu_count() or 1) else "cpu"
    return replace(
        order,
        model=order.model.resolve(),
        out=order.out.resolve(),
        loras=tuple(replace(lora, path=lora.path.resolve()) for lora in order.loras),
        device=device,
        precision=pick_precision(order.precision, device),
    )


def _tell_of_unread(jobs: Sequence[Job], order: Order, watch: Watch) -> None:
    """A note for every text that is longer than what CLIP reads."""
    texts = [text for job in jobs for request in job for text in order.recipe.texts(request)]
    for line in unread_by(order.model, [order.recipe.sampling.negative_prompt, *texts]):
        watch.on_note(line)
