"""Learning-rate schedules over several processes.

accelerate takes a step of the schedule for each process, so an optimizer step is as many steps of
the schedule as there are processes. sd-scripts multiplies its length by that, but no other numbers.
"""

import argparse
from pathlib import Path
from typing import Any

LENGTHS = ("lr_warmup_steps", "lr_decay_steps", "lr_scheduler_timescale")
"""Settings of a schedule in optimizer steps; a fraction is a share of the whole length."""


def stretch_lengths(args: argparse.Namespace, processes: int) -> None:
    """Multiply the lengths that are stated in optimizer steps by the number of processes."""
    lengths = {key: getattr(args, key) for key in LENGTHS}
    stated = {key: length for key, length in lengths.items() if isinstance(length, int)}
    vars(args).update({key: length * processes for key, length in stated.items()})


def convert_loaded_steps(accelerator: Any, state: Path) -> None:
    """Convert the steps of schedules loaded from ``state`` to the number of processes here.

    Each process has saved a file of its random states, which gives the number before.
    """
    before, now = len(list(state.glob("random_states_*.pkl"))), accelerator.num_processes
    if before in (0, now):
        return
    for wrapper in accelerator._schedulers:
        wrapper.scheduler.last_epoch = wrapper.scheduler.last_epoch * now // before
