"""Load a saved state, but keep the hyperparameters of the current command line.

A state also restores the learning rates and weight decay that it was saved with. Those of the
command line are put back, group by group; values that belong to the weights (moments, step counts)
stay as loaded.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from dmm.errors import DmmError
from dmm.files import read_json

from .schedules import convert_loaded_steps
from .steps import STATE_FILE

HYPERPARAMETERS = ("initial_lr", "weight_decay", "betas", "eps", "momentum")
"""Settings of an optimizer's parameter group that a resumed run may change."""
UNREADABLE = (
    DmmError, OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.PickleError,
    SafetensorError,
)  # fmt: skip


@contextmanager
def keep_current_hyperparameters(accelerator: Any) -> Iterator[None]:
    """Restore the current hyperparameters after the block, in which a state is loaded."""
    groups = [group for optimizer in accelerator._optimizers for group in optimizer.param_groups]
    settings = [{key: group[key] for key in HYPERPARAMETERS if key in group} for group in groups]
    schedulers = [wrapper.scheduler for wrapper in accelerator._schedulers]
    rates = [list(getattr(scheduler, "base_lrs", [])) for scheduler in schedulers]
    yield
    groups = [group for optimizer in accelerator._optimizers for group in optimizer.param_groups]
    for group, values in zip(groups, settings, strict=True):
        group.update(values)
    for scheduler, base_lrs in zip(schedulers, rates, strict=True):
        _set_rates(scheduler, base_lrs)


def _set_rates(scheduler: Any, base_lrs: list[float]) -> None:
    """Set a scheduler's base rates, and the learning rates that they give at its step."""
    if not base_lrs:
        return  # schedule-free optimizers have none
    saved = scheduler.base_lrs
    scheduler.base_lrs = base_lrs
    groups = scheduler.optimizer.param_groups
    if hasattr(scheduler, "lr_lambdas"):
        factors = [factor(scheduler.last_epoch) for factor in scheduler.lr_lambdas]
        now = [base * factor for base, factor in zip(base_lrs, factors, strict=True)]
    else:  # another kind of schedule: keep the share of its base rate that it had reached
        now = [
            group["lr"] * (base / old if old else 1)
            for group, base, old in zip(groups, base_lrs, saved, strict=True)
        ]
    for group, rate in zip(groups, now, strict=True):
        group["lr"] = rate
    scheduler._last_lr = now


def load_state(accelerator: Any, folder: Path) -> None:
    """Load weights, optimizer, schedule and random states; SystemExit if a file is damaged."""
    with one_line_reading_errors(folder):
        for name, size in read_state_record(folder).get("files", {}).items():
            found = (folder / name).stat().st_size
            if found != size:
                raise ValueError(f"{name} has {found} bytes, of {size} that were written")
        with keep_current_hyperparameters(accelerator):
            accelerator.load_state(str(folder))
            convert_loaded_steps(accelerator, folder)
    accelerator.step = 0  # micro-batches of a step are counted from 0


def read_state_record(folder: Path) -> dict[str, Any]:
    """Read ``dmm_state.json`` of a state; empty for a stock state of sd-scripts."""
    path = folder / STATE_FILE
    return read_json(path, finite=False) if path.is_file() else {}


@contextmanager
def one_line_reading_errors(folder: Path) -> Iterator[None]:
    """Turn an error while reading a state into SystemExit with one line."""
    try:
        yield
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "weights_only" in reason:  # torch would suggest to load it unsafely
            reason = "a file of torch is not what was written"
        raise SystemExit(
            f"{folder}: the state does not load ({reason[:300]}); it is damaged, or the network "
            "has other sizes. Delete it to resume from the state before, or start another run "
            "with --from-weights"
        ) from error
