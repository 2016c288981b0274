"""Device, precision and processes of a training run, and the shares of a batch that each computes.

With several processes (``torchrun --nproc_per_node 2 -m dmm pretrain ...``, or ``accelerate launch
--multi_gpu``) each process samples its own share of a batch. accelerate averages the gradients in
one flat vector after the backward pass. So a loss may call its networks in any way, which a wrapper
such as DistributedDataParallel would not allow.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from ..devices import bf16_autocast, pick_device
from ..errors import PresetError

PRECISIONS = ("bf16", "fp32")


@dataclass(frozen=True)
class Compute:
    """Device, precision and micro-batches of a run; PresetError for invalid values."""

    device: str = "auto"
    """``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    precision: str = "bf16"
    """``bf16`` (autocast; weights stay in float32) or ``fp32``."""
    compile: bool = False
    """Whether to use torch.compile: no faster on a CPU, not measured on a GPU."""
    backend: str = "inductor"
    """Backend of torch.compile."""
    accumulate: int = 1
    """Micro-batches per step and process; more need less memory for an equal batch."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise PresetError(f"no precision {self.precision!r}; known: {known}")
        if self.accumulate < 1:
            raise PresetError(f"accumulate {self.accumulate}: a step needs 1 or more micro-batches")

    @cached_property
    def _processes(self) -> Any:
        """Accelerate's state of all processes, or None if there is only one."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return None
        from accelerate import PartialState

        return PartialState(cpu=self.device == "cpu" or not torch.cuda.is_available())

    @cached_property
    def torch_device(self) -> torch.device:
        """Device of this process; PresetError if this machine lacks it."""
        return self._processes.device if self._processes else torch.device(pick_device(self.device))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self._processes is None or self._processes.is_main_process

    def in_main_process(self, block: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
        """``block`` in the main process, nothing in others: one lock is for all processes."""
        return block if self.is_main else nullcontext()

    @property
    def share_count(self) -> int:
        """Number of shares of a step's batch, over all processes."""
        return self.accumulate * (self._processes.num_processes if self._processes else 1)

    def rows_per_share(self, batch_size: int) -> int:
        """Clips of one share; the batch is rounded up to equal shares."""
        return -(-batch_size // self.share_count)

    def share_generators(self, seed: int, step: int) -> Iterator[torch.Generator]:
        """One CPU generator for each share that this process computes in a step.

        Shares are numbered over processes and micro-batches, so that two processes sample the same
        clips as one process with two micro-batches.
        """
        first = self.accumulate * (self._processes.process_index if self._processes else 0)
        for part in range(first, first + self.accumulate):
            state = np.random.SeedSequence([seed, step, part]).generate_state(1)
            yield torch.Generator().manual_seed(int(state[0]))

    def autocast(self) -> AbstractContextManager[Any]:
        """Autocast to bfloat16, if that is the precision."""
        return bf16_autocast(self.torch_device, self.precision == "bf16")

    def prepare(self, model: nn.Module) -> None:
        """Move a model to the device, in place, and compile its forward if ``compile`` is set."""
        model.to(self.torch_device)
        if self.compile:
            model.compile(backend=self.backend)

    @torch.no_grad()
    def average_gradients(self, model: nn.Module) -> None:
        """Replace every gradient by its mean over the processes."""
        if self._processes is None:
            return
        from accelerate.utils import reduce

        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        mean: Any = reduce(torch.cat([g.flatten() for g in gradients]), reduction="mean")
        parts = mean.split([g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Run a block in the main process first, so that others can read the files it writes."""
        if self._processes is None:
            yield
        else:
            with self._processes.main_process_first():
                yield


ON_CPU = Compute(device="cpu")
