"""One training loop for the small networks: seeded, with a moving average, resumable to the step.

Batches are drawn from a generator seeded by (seed, step), so a run that was interrupted goes on
with the same batches and ends in the same weights.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..files import whole_file
from ..progress import progress_bar

SAVE_EVERY_S = 120


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: linear warm-up, then cosine to zero."""

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 50
    ema_decay: float = 0.995

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def fit(
    name: str,
    model: nn.Module,
    loss: Callable[[torch.Generator], Tensor],
    schedule: Schedule,
    state: Path,
    seed: int,
) -> nn.Module:
    """Minimise ``loss(generator)`` over the model's parameters; returns the averaged weights' copy.

    ``state`` is written every two minutes and read back if it is there.
    """
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=1e-4)
    first = _restore(state, model, average, optimizer)
    saved_at = time.monotonic()
    with progress_bar(name, schedule.steps) as advance:
        advance(first)
        for step in range(first, schedule.steps):
            value = _step(model, loss, optimizer, schedule.rate(step), _generator(seed, step))
            _follow(average, model, min(schedule.ema_decay, (step + 1) / (step + 10)))
            advance(note=f"loss {value:.4f}")
            if time.monotonic() - saved_at > SAVE_EVERY_S or step + 1 == schedule.steps:
                _save(state, step + 1, model, average, optimizer)
                saved_at = time.monotonic()
    return average.eval()


def _step(
    model: nn.Module,
    loss: Callable[[torch.Generator], Tensor],
    optimizer: torch.optim.Optimizer,
    rate: float,
    generator: torch.Generator,
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    value = loss(generator)
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return value.item()


def _generator(seed: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


def _save(
    path: Path, step: int, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    with whole_file(path) as partial:
        torch.save(
            {
                "step": step,
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
            },
            partial,
        )


def _restore(
    path: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]
