"""Going on from a state with the hyperparameters of today.

Loading a state also brings back the learning rates and weight decay that it was saved with. Those
of the command line are put in their place, group by group; what belongs to the weights (moments,
step counts) stays.
"""

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from .steps import FILE

TAKE_EFFECT = ("initial_lr", "weight_decay", "betas", "eps", "momentum")
"""Settings of an optimizer's group that a resumed run may change."""
UNREADABLE = (
    OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.PickleError, SafetensorError
)  # fmt: skip


@contextmanager
def todays_hyperparameters(accelerator: Any) -> Iterator[None]:
    """Within the block a state is loaded; afterwards the settings from before are in force."""
    groups = [group for optimizer in accelerator._optimizers for group in optimizer.param_groups]
    settings = [{key: group[key] for key in TAKE_EFFECT if key in group} for group in groups]
    schedulers = [wrapper.scheduler for wrapper in accelerator._schedulers]
    rates = [list(getattr(scheduler, "base_lrs", [])) for scheduler in schedulers]
    yield
    groups = [group for optimizer in accelerator._optimizers for group in optimizer.param_groups]
    for group, values in zip(groups, settings, strict=True):
        group.update(values)
    for scheduler, base_lrs in zip(schedulers, rates, strict=True):
        _set_rates(scheduler, base_lrs)


def _set_rates(scheduler: Any, base_lrs: list[float]) -> None:
    """The rates that these base rates have at the scheduler's step."""
    if not base_lrs:
        return  # schedule-free optimizers have none
    saved = scheduler.base_lrs
    scheduler.base_lrs = base_lrs
    groups = scheduler.optimizer.param_groups
    if hasattr(scheduler, "lr_lambdas"):
        factors = [factor(scheduler.last_epoch) for factor in scheduler.lr_lambdas]
        now = [base * factor for base, factor in zip(base_lrs, factors, strict=True)]
    else:  # another kind of schedule: keep the share of its rate that it had come to
        now = [
            group["lr"] * (base / old if old else 1)
            for group, base, old in zip(groups, base_lrs, saved, strict=True)
        ]
    for group, rate in zip(groups, now, strict=True):
        group["lr"] = rate
    scheduler._last_lr = now


def load_state(accelerator: Any, folder: Path) -> None:
    """Load weights, optimizer, schedule and random states; SystemExit if one cannot be read."""
    with readable(folder):
        for name, size in read_facts(folder).get("files", {}).items():
            found = (folder / name).stat().st_size
            if found != size:
                raise ValueError(f"{name} has {found} bytes, of {size} that were written")
        with todays_hyperparameters(accelerator):
            accelerator.load_state(str(folder))
    accelerator.step = 0  # micro-batches of a step are counted anew


def read_facts(folder: Path) -> dict[str, Any]:
    """What we wrote into a state; empty for a stock one."""
    path = folder / FILE
    return json.loads(path.read_text()) if path.is_file() else {}


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """SystemExit, in one line, where a state of the wanted sizes cannot be read in the block."""
    try:
        yield
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "weights_only" in reason:  # torch would have the user load it all the same
            reason = "a file of torch is not what was written"
        raise SystemExit(
            f"{folder}: the state does not load ({reason[:300]}); it is damaged, or the network "
            "has other sizes. Delete it to go on from the state before, or start another run "
            "with --from-weights"
        ) from error
