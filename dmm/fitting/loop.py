"""Training loop for small networks: AdamW, cosine schedule, averaged weights, resumable.

Batches are sampled on the CPU by generators seeded with (seed, step, share). So an interrupted run
continues with the same batches; on a CPU it ends in the same weights, bit for bit.
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

from ..errors import DmmError
from ..progress import progress_bar
from .compute import ON_CPU, Compute
from .muon import Muon, muon_groups
from .state import fingerprint, load_state, save_state

SAVE_EVERY_S = 120
"""Seconds between two writes of the state."""


@dataclass(frozen=True)
class Schedule:
    """Steps, batch size and learning rate: linear warm-up, then cosine to 0."""

    steps: int
    batch_size: int
    """Clips per step, over all micro-batches and processes."""
    learning_rate: float
    warmup: int = 50
    """Warm-up steps."""
    ema_decay: float = 0.995
    """Decay of the averaged weights per step; lower in the first steps."""
    optimizer: str = "adamw"
    """Or ``muon``: 2.5 times fewer steps for a small UNet; its rate is about 1e-2."""

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
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
    rate_factors: Mapping[str, float] | None = None,
    data: str = "",
) -> nn.Module:
    """Minimise ``loss(generator)`` over the model's parameters; returns averaged weights.

    ``loss`` samples ``compute.rows(schedule.batch_size)`` clips with the generator, moves them to
    ``compute.torch_device`` and returns their mean loss. ``rate_factors`` maps children of the
    model to a factor on the learning rate; others have 1. ``data`` is a fingerprint of the training
    data. The returned model is a copy; its buffers keep their starting values.

    ``state`` is a file that is written every two minutes, and read if it exists. InputError if its
    run had another seed, schedule (``steps`` may differ), ``data``, starting weights, factors or
    number of shares. DmmError for a loss that is not finite.
    """
    factors = rate_factors or {}
    settings = _settings(model, schedule, seed, compute, factors, data)
    compute.prepare(model)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = _optimizer(model, schedule, factors)
    first = load_state(state, settings, model, average, optimizer)
    saved_at = time.monotonic()
    with _bar(name, schedule.steps, compute) as advance:
        advance(first)
        for step in range(first, schedule.steps):
            value = _step(model, loss, optimizer, schedule.rate(step), compute, seed, step)
            if not math.isfinite(value):
                raise DmmError(
                    f"{name}: the loss is {value} at step {step + 1}; lower the learning rate, or "
                    f"look for damaged data ({state} keeps the last good state)"
                )
            _update_average(average, model, min(schedule.ema_decay, (step + 1) / (step + 10)))
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
    rate_factors: Mapping[str, float],
    data: str,
) -> dict[str, Any]:
    """Everything that determines the weights after a step, except rounding.

    The keys are part of the state's file format.
    """
    learning = [(name, p.shape) for name, p in model.named_parameters() if p.requires_grad]
    settings = {
        "learning parameters": fingerprint(str(learning)),
        "starting weights": fingerprint(model),
        "data": fingerprint(data),
        "seed": seed,
        "shares of a batch": compute.parts,
        "slower": dict(rate_factors),
        **asdict(schedule),
    }
    del settings["steps"]
    if settings["optimizer"] == "adamw":
        del settings["optimizer"]  # states written before there was a choice lack it
    return settings


def _optimizer(
    model: nn.Module, schedule: Schedule, rate_factors: Mapping[str, float]
) -> torch.optim.Optimizer:
    if schedule.optimizer == "muon":
        return Muon(muon_groups(rate_factors, model), schedule.learning_rate)
    groups = _parameter_groups(model, rate_factors)
    return torch.optim.AdamW(groups, schedule.learning_rate, weight_decay=1e-4)


def _parameter_groups(model: nn.Module, rate_factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Trainable parameters as optimizer groups, one for each factor."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = rate_factors.get(name.split(".")[0], 1.0)
            groups.setdefault(factor, []).append(parameter)
    return [{"params": params, "factor": factor} for factor, params in groups.items()]


@contextmanager
def _bar(name: str, steps: int, compute: Compute) -> Iterator[Callable[..., None]]:
    """Progress bar in the main process; other processes show none."""
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
    """One optimizer step, gradients clipped to norm 1; returns this process's mean loss."""
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
def _update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
