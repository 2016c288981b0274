"""Learning-rate schedules over several processes.

accelerate takes a step of the schedule for each process, so an optimizer step is as many steps of
the schedule as there are processes. sd-scripts multiplies its length by that, but no other numbers.
"""

import argparse

LENGTHS = ("lr_warmup_steps", "lr_decay_steps", "lr_scheduler_timescale")
"""Settings of a schedule in optimizer steps; a fraction is a share of the whole length."""


def stretch_lengths(args: argparse.Namespace, processes: int) -> None:
    """Multiply the lengths that are stated in optimizer steps by the number of processes."""
    lengths = {key: getattr(args, key) for key in LENGTHS}
    stated = {key: length for key, length in lengths.items() if isinstance(length, int)}
    vars(args).update({key: length * processes for key, length in stated.items()})
