"""One training loop for the small networks: seeded, with a moving average, resumable to the step.

Batches are drawn on the CPU from generators seeded by (seed, step, share), so a run that was
interrupted goes on with the same batches and, on a CPU, ends in the same weights to the bit.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..progress import progress_bar
from .compute import ON_CPU, Compute
from .state import fingerprint, load_state, save_state

SAVE_EVERY_S = 120


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: linear warm-up, then cosine to zero."""

    steps: int
    batch_size: int
    """Clips of a step, over all micro-batches and processes."""
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
    compute: Compute = ON_CPU,
    *,
    slower: Mapping[str, float] | None = None,
    data: str = "",
) -> nn.Module:
    """Minimise ``loss(generator)`` over the model's parameters; returns the averaged weights' copy.

    ``loss`` draws ``compute.rows(schedule.batch_size)`` clips with the generator, moves them to
    ``compute.place`` and returns their mean loss. ``slower`` maps children of the model to a
    factor on the learning rate. ``state`` is written every two minutes and read back if it is
    there; InputError if it is of a run with other settings (all but ``schedule.steps``), other
    starting weights or other ``data``, a fingerprint of what batches are drawn from.
    """
    settings = _settings(model, schedule, seed, compute, slower or {}, data)
    compute.prepare(model)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        _groups(model, slower or {}), lr=schedule.learning_rate, weight_decay=1e-4
    )
    first = load_state(state, settings, model, average, optimizer)
    saved_at = time.monotonic()
    with _bar(name, schedule.steps, compute) as advance:
        advance(first)
        for step in range(first, schedule.steps):
            value = _step(model, loss, optimizer, schedule.rate(step), compute, seed, step)
            _follow(average, model, min(schedule.ema_decay, (step + 1) / (step + 10)))
            advance(note=f"loss {value:.4f}")
            is_due = time.monotonic() - saved_at > SAVE_EVERY_S or step + 1 == schedule.steps
            if is_due and compute.is_main:
                save_state(state, settings, step + 1, model, average, optimizer)
                saved_at = time.monotonic()
    return average.eval()


def _settings(
    model: nn.Module,
    schedule: Schedule,
    seed: int,
    compute: Compute,
    slower: Mapping[str, float],
    data: str,
) -> dict[str, Any]:
    """All that decides the weights after a step, but for rounding."""
    learning = [(name, p.shape) for name, p in model.named_parameters() if p.requires_grad]
    facts = {
        "learning parameters": fingerprint(str(learning)),
        "starting weights": fingerprint(model),
        "data": fingerprint(data),
        "seed": seed,
        "shares of a batch": compute.parts,
        "slower": dict(slower),
        **asdict(schedule),
    }
    del facts["steps"]
    return facts


def _groups(model: nn.Module, slower: Mapping[str, float]) -> list[dict[str, Any]]:
    """The parameters that learn, as one optimiser group for each learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = slower.get(name.split(".")[0], 1.0)
            groups.setdefault(factor, []).append(parameter)
    return [{"params": params, "factor": factor} for factor, params in groups.items()]


@contextmanager
def _bar(name: str, steps: int, compute: Compute) -> Iterator[Callable[..., None]]:
    """The progress bar, in the main process alone."""
    if compute.is_main:
        with progress_bar(name, steps) as advance:
            yield advance
    else:
        yield lambda *_, **__: None


def _step(
    model: nn.Module,
    loss: Callable[[torch.Generator], Tensor],
    optimizer: torch.optim.Optimizer,
    rate: float,
    compute: Compute,
    seed: int,
    step: int,
) -> float:
    """One update from this process's shares; returns their mean loss."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for generator in compute.generators(seed, step):
        value = loss(generator) / compute.accumulate
        value.backward()
        total += value.item()
    compute.average_gradients(model)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return total


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
