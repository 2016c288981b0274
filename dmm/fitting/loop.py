"""Training loop for small networks: AdamW or Muon, averaged weights, validation, resumable.

Batches are sampled on the CPU by generators seeded with (seed, step, share). So an interrupted run
continues with the same batches; on a CPU it ends in the same weights, bit for bit.
"""

import copy
import json
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
VALIDATE_EVERY_S = 600
"""Seconds between two validations."""

Validate = Callable[[nn.Module], Mapping[str, float]]
"""Averaged weights to figures by name, the main one first; lower is better."""


@dataclass(frozen=True)
class Schedule:
    """Steps, batch size and learning rate: linear warm-up, constant, then cosine to 0."""

    steps: int
    batch_size: int
    """Clips per step, over all micro-batches and processes."""
    learning_rate: float
    warmup: int = 50
    """Warm-up steps."""
    ema_decay: float = 0.995
    """Decay of the averaged weights per step; lower in the first steps."""
    optimizer: str = "adamw"
    """Or ``muon``: 2.5 times fewer steps for a small UNet; its rate is about 5e-3."""
    decay: float = 1.0
    """Share of the steps after the warm-up in which the rate falls, at the end."""

    def learning_rate_at(self, step: int) -> float:
        """Learning rate at a step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        falling = max(1, round(self.decay * (self.steps - self.warmup)))
        done = max(0.0, (step - self.steps + falling) / falling)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


LATER_FIELDS = {"optimizer": "adamw", "decay": 1.0}
"""Fields that states of earlier versions lack, with the values that those versions used."""


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
    validate: Validate | None = None,
) -> nn.Module:
    """Minimise ``loss(generator)`` over the model's parameters; returns averaged weights.

    ``loss`` samples ``compute.rows_per_share(schedule.batch_size)`` clips with the generator, moves
    them to ``compute.torch_device`` and returns their mean loss. ``rate_factors`` maps children of
    the model to a factor on the learning rate; others have 1. ``data`` is a fingerprint of the
    training data. The returned model is a copy; its buffers keep their starting values.

    ``state`` is a file that is written every two minutes, and read if it exists. InputError if its
    run had another seed, schedule (``steps`` may differ), ``data``, starting weights, factors or
    number of shares. DmmError for a loss that is not finite.

    ``validate`` is called every ten minutes and after the last step. Its figures are shown, and
    appended to a ``.jsonl`` file beside ``state``, a line each with the ``step``.
    """
    factors = rate_factors or {}
    settings = _deciding_settings(model, schedule, seed, compute, factors, data)
    compute.prepare(model)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = _make_optimizer(model, schedule, factors)
    first = load_state(state, settings, model, average, optimizer)
    saved_at = validated_at = time.monotonic()
    validation = ""
    with _main_process_bar(name, schedule.steps, compute) as advance:
        advance(first)
        for step in range(first, schedule.steps):
            value = _optimizer_step(
                model, loss, optimizer, schedule.learning_rate_at(step), compute, seed, step
            )
            if not math.isfinite(value):
                raise DmmError(
                    f"{name}: the loss is {value} at step {step + 1}; lower the learning rate, or "
                    f"look for damaged data ({state} keeps the last good state)"
                )
            _update_average(average, model, min(schedule.ema_decay, (step + 1) / (step + 10)))
            is_last = step + 1 == schedule.steps
            if validate and (is_last or time.monotonic() - validated_at > VALIDATE_EVERY_S):
                validation = _log_and_describe_validation(
                    validate(average), step + 1, state, compute
                )
                validated_at = time.monotonic()
            advance(note=f"loss {value:.4f}{validation}")
            is_due = is_last or time.monotonic() - saved_at > SAVE_EVERY_S
            if is_due and compute.is_main:
                save_state(state, settings, step + 1, model, average, optimizer)
                saved_at = time.monotonic()
    return average.eval()


def _log_and_describe_validation(
    figures: Mapping[str, float], step: int, state: Path, compute: Compute
) -> str:
    """Append a step's figures to the run's ``.jsonl`` file; returns the first one as text."""
    if not figures:
        return ""
    if compute.is_main:
        path = state.with_suffix(".jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
    name, value = next(iter(figures.items()))
    return f", {name} {value:.4f}"


def _deciding_settings(
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
        "shares of a batch": compute.share_count,
        "slower": dict(rate_factors),
        **asdict(schedule),
    }
    del settings["steps"]
    for name, default in LATER_FIELDS.items():
        if settings[name] == default:
            del settings[name]
    return settings


def _make_optimizer(
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
def _main_process_bar(name: str, steps: int, compute: Compute) -> Iterator[Callable[..., None]]:
    """Progress bar in the main process; other processes show none."""
    if compute.is_main:
        with progress_bar(name, steps) as advance:
            yield advance
    else:
        yield lambda *_, **__: None


def _optimizer_step(
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
    for generator in compute.share_generators(seed, step):
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
