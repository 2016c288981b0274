"""Batches as one numbered stream: what a batch holds depends on the seed and its number alone.

The engine shuffles with global random states, one batch ahead of training, so a resumed run meets
other batches than an uninterrupted one. Here batch ``n`` has its place in the shuffled order of
pass ``n // batches``, its captions are shuffled by a generator seeded with ``n``, and the trainer
draws its noise from a seed of ``n``; worker processes and restarts change nothing.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from library import train_util
from torch.utils.data import DataLoader, Sampler

from .patches import replace_class, replace_method


class Stream(Sampler[int]):
    """The numbers of the batches, one engine epoch at a time; every process walks all of them."""

    def __init__(self, batches: int, batches_per_step: int) -> None:
        self.batches, self.batches_per_step = batches, batches_per_step
        whole_steps = -(-batches // batches_per_step)
        self.length = whole_steps * batches_per_step
        self.position = 0
        self.stopped = False

    def turns(self, steps: int) -> int:
        """Passes through the data in so many steps, a begun one counted.

        >>> Stream(batches=5, batches_per_step=2).turns(6)
        3
        """
        return -(-steps * self.batches_per_step // self.batches)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        for _ in range(self.length):
            if self.stopped:  # the engine goes through its other epochs without a batch
                return
            self.position += 1
            yield self.position - 1


class StreamGroup(train_util.DatasetGroup):
    """The engine's group of datasets, asked for batches by their number in the stream."""

    seed: int
    batches_per_step: int

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The batch with its number and the clips in it."""
        turn, place = divmod(number, len(self))
        index = shuffled(len(self), self.seed, turn)[place]
        with seeded_random():
            for dataset in self.datasets:
                dataset.set_current_epoch(turn + 1)  # shuffles with a seed of its own, in turn
                dataset.set_current_step(number // self.batches_per_step)
        with seeded_random(self.seed, number):
            batch: dict[str, Any] = super().__getitem__(index)
        return batch | {"number": number, "clips": self._clips(index)}

    def _clips(self, index: int) -> list[str]:
        for dataset in self.datasets:
            if index < len(dataset):
                found = dataset.buckets_indices[index]
                start = found.batch_index * found.bucket_batch_size
                bucket = dataset.bucket_manager.buckets[found.bucket_index]
                keys = bucket[start : start + found.bucket_batch_size]
                return [Path(key).stem for key in keys]
            index -= len(dataset)
        return []

    def set_current_epoch(self, epoch: int) -> None:
        """The engine's count starts again after a resume; ours follows the batch's number."""

    def set_current_step(self, step: int) -> None:
        """See ``set_current_epoch``."""


def as_stream(group: Any, seed: int, batches_per_step: int) -> Stream:
    """Take the engine's training group over, in place; returns the order to load it in."""
    replace_class(group, StreamGroup)
    group.seed, group.batches_per_step = seed, batches_per_step
    for dataset in group.datasets:
        dataset.set_seed(seed)
    return Stream(len(group), batches_per_step)


def load_by_stream(accelerator: Any, stream: Stream) -> None:
    """Give the training loader our order when the engine hands it to the accelerator.

    Gradients are accumulated across the borders of epochs, so that every optimizer step has as
    many batches, wherever a resumed run begins to count.
    """
    accelerator.gradient_state.plugin_kwargs["sync_with_dataloader"] = False
    prepare = accelerator.prepare

    def prepare_in_order(*objects: Any, **named: Any) -> Any:
        return prepare(*(_in_order(thing, stream) for thing in objects), **named)

    replace_method("accelerator.prepare", accelerator, prepare_in_order)


def _in_order(thing: Any, stream: Stream) -> Any:
    if not (isinstance(thing, DataLoader) and isinstance(thing.dataset, StreamGroup)):
        return thing
    return DataLoader(
        thing.dataset,
        batch_size=1,  # the engine's items are whole batches
        sampler=stream,
        collate_fn=thing.collate_fn,
        num_workers=thing.num_workers,
        persistent_workers=thing.persistent_workers,
        generator=torch.Generator(),  # else every epoch would draw from the global one
    )


def shuffled(count: int, seed: int, turn: int) -> list[int]:
    """The order of all batches in one turn through the data."""
    generator = torch.Generator().manual_seed(seed_of(seed, "turn", turn))
    return torch.randperm(count, generator=generator).tolist()


def seed_of(*words: object) -> int:
    """A seed of 63 bits that differs for different words.

    >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(0, 2)
    True
    """
    digest = hashlib.blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


@contextmanager
def seeded_random(*words: object) -> Iterator[None]:
    """Python's global generator starts from these words, then goes on as before the block."""
    before = random.getstate()
    random.seed(seed_of(*words))
    try:
        yield
    finally:
        random.setstate(before)
