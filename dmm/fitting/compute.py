"""Where and how precisely small networks are trained, and how a step's batch is shared out.

With more than one process (``torchrun --nproc_per_node 2 -m dmm pretrain ...``, or ``accelerate
launch --multi_gpu``) every process draws its own share of a batch, and accelerate averages the
gradients: in one flat vector after the backward pass, so that a loss is free to call its networks
as it likes, which a wrapper (DistributedDataParallel) would not allow.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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
    """Device, precision and shares; PresetError for what this machine does not have."""

    device: str = "auto"
    """``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    precision: str = "bf16"
    """``bf16`` (autocast; weights stay in float32) or ``fp32``."""
    compile: bool = False
    """torch.compile; on a CPU it measured no faster, on a GPU it was not measured."""
    backend: str = "inductor"
    """Of torch.compile."""
    accumulate: int = 1
    """Micro-batches of a step in each process; more need less memory for an equal batch."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise PresetError(f"no precision {self.precision!r}; known: {known}")
        if self.accumulate < 1:
            raise PresetError(f"accumulate {self.accumulate}: a step needs 1 or more micro-batches")

    @cached_property
    def _processes(self) -> Any:
        """Accelerate's view of the processes; None where this one is alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return None
        from accelerate import PartialState

        return PartialState(cpu=self.device == "cpu" or not torch.cuda.is_available())

    @cached_property
    def place(self) -> torch.device:
        """The device of this process."""
        return self._processes.device if self._processes else torch.device(pick_device(self.device))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self._processes is None or self._processes.is_main_process

    @property
    def parts(self) -> int:
        """Shares that a step's batch is drawn in, over all processes."""
        return self.accumulate * (self._processes.num_processes if self._processes else 1)

    def rows(self, batch_size: int) -> int:
        """Clips of one share; a batch that does not divide is rounded up to equal shares."""
        return -(-batch_size // self.parts)

    def generators(self, seed: int, step: int) -> Iterator[torch.Generator]:
        """One CPU generator for each share that this process draws in a step.

        Shares are numbered over processes and micro-batches alike, so that two processes draw
        what one process with two micro-batches draws.
        """
        first = self.accumulate * (self._processes.process_index if self._processes else 0)
        for part in range(first, first + self.accumulate):
            drawn = np.random.SeedSequence([seed, step, part]).generate_state(1)
            yield torch.Generator().manual_seed(int(drawn[0]))

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in bfloat16 what tolerates it, if that is the precision."""
        return bf16_autocast(self.place, self.precision == "bf16")

    def prepare(self, model: nn.Module) -> None:
        """Move a model to the device in place and, if wanted, compile its forward."""
        model.to(self.place)
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
        """Let the main process make a file before the others read it."""
        if self._processes is None:
            yield
        else:
            with self._processes.main_process_first():
                yield


ON_CPU = Compute(device="cpu")
