"""Exponential moving average (EMA) of the LoRA's weights.

The decay grows at the start: at update ``n``, from 1, it is ``min(decay, (1 + n) / (10 + n))``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

FILE = "ema.safetensors"


class Ema:
    """Moving averages of a network's weights, in float32 on the weights' device."""

    def __init__(self, network: Any, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = dict(network.named_parameters())
        self.averages = {name: p.detach().float().clone() for name, p in self.weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Update the averages with the weights after an optimizer step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        now = [weight.detach().float() for weight in self.weights.values()]
        averages = [average.to(now[0].device) for average in self.averages.values()]
        torch._foreach_lerp_(averages, now, 1 - decay)
        self.averages = dict(zip(self.averages, averages, strict=True))

    @contextmanager
    def with_averaged_weights(self) -> Iterator[None]:
        """Within the block the network has the averaged weights; after it, its own."""
        trained = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self._copy_to_network(self.averages)
        try:
            yield
        finally:
            self._copy_to_network(trained)

    @torch.no_grad()
    def _copy_to_network(self, values: dict[str, torch.Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.copy_(values[name])

    def save(self, folder: Path) -> None:
        """Write the averages into the folder of a state."""
        tensors = {name: average.contiguous().cpu() for name, average in self.averages.items()}
        save_file(tensors, folder / FILE)

    def load(self, folder: Path, updates: int) -> None:
        """Load the averages from the folder of a state that was saved after ``updates`` updates.

        If the state has none, the averages start from the current weights.
        """
        self.updates = updates
        if (folder / FILE).is_file():
            saved = load_file(folder / FILE)
            self.averages = {name: saved[name] for name in self.weights}
        else:
            self.averages = {n: p.detach().float().clone() for n, p in self.weights.items()}
