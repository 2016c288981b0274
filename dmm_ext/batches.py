"""Numbered batches: the seed and a batch's number decide its clips, captions and noise.

The engine shuffles with global random states, one batch ahead of training, so a resumed run would
see other batches than an uninterrupted one. Here batch ``n`` has a place in the shuffled order of
epoch ``n // batches``, its captions are shuffled by a generator seeded with ``n``, and the trainer
seeds the noise with ``n``. Worker processes and restarts change nothing.
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


class BatchNumbers(Sampler[int]):
    """Sampler of batch numbers, which go on over engine epochs; every process yields all."""

    def __init__(self, batches: int, batches_per_step: int) -> None:
        self.batches, self.batches_per_step = batches, batches_per_step
        whole_steps = -(-batches // batches_per_step)
        self.length = whole_steps * batches_per_step
        self.position = 0
        self.stopped = False

    def epochs_in_steps(self, steps: int) -> int:
        """Passes over the data within this many optimizer steps, rounded up.

        >>> BatchNumbers(batches=5, batches_per_step=2).epochs_in_steps(6)
        3
        """
        return -(-steps * self.batches_per_step // self.batches)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        for _ in range(self.length):
            if self.stopped:  # the engine's remaining epochs are empty
                return
            self.position += 1
            yield self.position - 1


class NumberedBatches(train_util.DatasetGroup):
    """The engine's group of datasets, indexed by the number of a batch over all epochs."""

    seed: int
    batches_per_step: int

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The engine's batch, with its ``number`` and the names of its ``clips``."""
        epoch, place = divmod(number, len(self))
        index = shuffled_indices(len(self), self.seed, epoch)[place]
        with seeded_random():
            for dataset in self.datasets:
                dataset.set_current_epoch(epoch + 1)  # shuffles with a seed of its own
                dataset.set_current_step(number // self.batches_per_step)
        with seeded_random(self.seed, number):
            batch: dict[str, Any] = super().__getitem__(index)
        return batch | {"number": number, "clips": self._clip_ids(index)}

    def _clip_ids(self, index: int) -> list[str]:
        """Ids of the clips in the engine's batch ``index``."""
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
        """Ignore the engine's epoch, which restarts on a resume; ours follows from the number."""

    def set_current_step(self, step: int) -> None:
        """Ignore the engine's step, which restarts on a resume; ours follows from the number."""


def number_batches(group: Any, seed: int, batches_per_step: int) -> BatchNumbers:
    """Turn the engine's training group into ``NumberedBatches`` in place; returns its sampler."""
    replace_class(group, NumberedBatches)
    group.seed, group.batches_per_step = seed, batches_per_step
    for dataset in group.datasets:
        dataset.set_seed(seed)
    return BatchNumbers(len(group), batches_per_step)


def patch_loader_order(accelerator: Any, numbers: BatchNumbers) -> None:
    """Make ``accelerator.prepare`` give the training loader our order.

    Gradients are accumulated across the ends of epochs, so that every optimizer step has equally
    many batches, wherever a resumed run starts.
    """
    accelerator.gradient_state.plugin_kwargs["sync_with_dataloader"] = False
    prepare = accelerator.prepare

    def prepare_in_order(*objects: Any, **named: Any) -> Any:
        return prepare(*(_loader_in_order(thing, numbers) for thing in objects), **named)

    replace_method("accelerator.prepare", accelerator, prepare_in_order)


def _loader_in_order(thing: Any, numbers: BatchNumbers) -> Any:
    """A loader of numbered batches with ``numbers`` as its sampler; other things unchanged."""
    if not (isinstance(thing, DataLoader) and isinstance(thing.dataset, NumberedBatches)):
        return thing
    return DataLoader(
        thing.dataset,
        batch_size=1,  # the engine's items are whole batches
        sampler=numbers,
        collate_fn=thing.collate_fn,
        num_workers=thing.num_workers,
        persistent_workers=thing.persistent_workers,
        generator=torch.Generator(),  # else every epoch would take numbers from the global one
    )


def shuffled_indices(count: int, seed: int, epoch: int) -> list[int]:
    """Shuffled order of all batches in one epoch, by the seed."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "turn", epoch))
    return torch.randperm(count, generator=generator).tolist()


def derive_seed(*words: object) -> int:
    """Hash any words to a seed of 63 bits.

    >>> derive_seed(0, 1) == derive_seed(0, 1) != derive_seed(0, 2)
    True
    """
    digest = hashlib.blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


@contextmanager
def seeded_random(*words: object) -> Iterator[None]:
    """Within the block Python's ``random`` is seeded by these words; then its state is restored."""
    before = random.getstate()
    random.seed(derive_seed(*words))
    try:
        yield
    finally:
        random.setstate(before)
